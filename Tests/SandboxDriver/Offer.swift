internal import Glibc
internal import LinuxSystem

/// What a machine has that a hostile program might want: sockets that listen, a file with a secret, another process of
/// the same user, a descriptor that was leaked.
final class Offer {
    /// `KEY=VALUE` for the probe.
    let words: [String]
    /// Open, and inherited by whoever does not close it.
    let leaked: CInt
    private let victim: ProcessHandle
    private let listeners: [CInt]

    init(folder: String, victim program: String) throws {
        var words: [String] = []
        var listeners: [CInt] = []
        let unixPath = "\(folder)/writable/offer-\(getpid())"
        for (key, address) in [
            ("tcp4", SocketAddress.internet(host: "127.0.0.1", port: 0)),
            ("tcp6", .internet(host: "::1", port: 0)), ("unix", .unix(path: unixPath)),
        ] {
            // A machine without IPv6 leaves that key out, and the act proves nothing there.
            guard let listening = try? Socket.listen(on: address) else { continue }
            if case .internet(_, let port) = listening.address { words.append("\(key)=\(port)") }
            if case .unix(let path) = listening.address { words.append("\(key)=\(path)") }
            listeners.append(try listening.descriptor.duplicate().release())
        }
        let secret = "\(folder)/writable/secret-\(getpid())"
        let file = try Descriptor.open(secret, O_CREAT | O_RDWR)
        try file.writeAll(Array("a secret".utf8))
        // Not close-on-exec, on purpose.
        leaked = dup2(file.raw, 60)
        let process = try ProcessSpawn.spawn(
            program, arguments: ["sandbox-probe", "hang"], environment: [],
            descriptors: [leaked, leaked, leaked])
        victim = try ProcessHandle(child: process)
        words += ["home=\(secret)", "folder=\(folder)/writable", "victim=\(process)", "descriptor=60"]
        self.words = words
        self.listeners = listeners
    }

    func end() {
        victim.kill()
        _ = victim.waitForExit()
    }
}
