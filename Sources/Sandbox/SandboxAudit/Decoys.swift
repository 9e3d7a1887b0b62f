internal import Glibc
internal import LinuxSystem

/// What the probes attack in the place of what a machine has that a hostile program might want: another process of the same
/// user with its memory, files, sockets and keys; descriptors that were leaked; this process, as the agent. All of it is
/// made for them, so that none of them touches anything else. Used by one thread.
final class Decoys {
    /// What every secret among them begins with (Sources/Sandbox/sandbox-probe/means.c).
    static let secret = "a secret of the owner"
    /// How the probes' environment has it.
    static let environment = ["HEARTH_PROBE_SECRET=\(secret)"]
    /// Leaked descriptors are put above those that programs use.
    private static let leakedFrom: CInt = 60
    private static let wordBytesMax = 16 << 10
    private static let startNanoseconds: UInt64 = 10_000_000_000

    /// The weights, open to be read, as a backend is given them.
    let model: Descriptor
    /// Open in this process, and inherited by whoever does not close them.
    private let leaked: [(key: String, descriptor: CInt)]
    private let peer: Descriptor
    private let words: [String]
    private let bystander: Bystander
    private let memory: UnsafeMutableBufferPointer<UInt8>

    /// Starts the bystander, which makes its files in `folder`: an absolute path of an empty folder of this user.
    init(probePath: String, folder: String, interruption: CInt? = nil) throws(AuditError) {
        do throws(LinuxError) {
            let input = try Descriptor.pipe()
            let output = try Descriptor.pipe()
            let null = try Descriptor.open("/dev/null", O_RDWR)
            let process = try ProcessSpawn.spawn(
                probePath, arguments: ["sandbox-probe", "bystander", "folder=\(folder)"],
                environment: Decoys.environment, descriptors: [input.first.raw, output.second.raw, null.raw])
            bystander = Bystander(process: try ProcessHandle(child: process), input: input.takeSecond())
            words = try Decoys.readWords(output.takeFirst(), interruption: interruption)
            let values = Dictionary(
                words.compactMap { word in
                    word.firstIndex(of: "=").map { (word[..<$0], String(word[word.index(after: $0)...])) }
                }, uniquingKeysWith: { first, _ in first })
            model = try Descriptor.open(values["model"] ?? "", O_RDONLY)
            let pair = try Descriptor.socketPair()
            var leaked: [(String, CInt)] = []
            func leak(_ key: String, _ descriptor: borrowing Descriptor) throws(LinuxError) {
                // Not close-on-exec, on purpose.
                let number = try checked("leak a descriptor") { fcntl(descriptor.raw, F_DUPFD, Decoys.leakedFrom) }
                leaked.append((key, number))
            }
            try leak("leaked-file", Descriptor.open(values["secret"] ?? "", O_RDONLY))
            try leak("leaked-folder", Descriptor.open(folder, O_RDONLY | O_DIRECTORY))
            try leak("leaked-socket", pair.first)
            if let path = values["terminal-path"] { try leak("terminal", Descriptor.open(path, O_RDWR | O_NOCTTY)) }
            self.leaked = leaked
            peer = pair.takeSecond()
        } catch {
            throw AuditError("cannot make what the probes attack: \(error)")
        }
        memory = .allocate(capacity: Decoys.secret.utf8.count)
        _ = memory.initialize(from: Decoys.secret.utf8)
    }

    deinit {
        for (_, descriptor) in leaked { close(descriptor) }
        memory.deallocate()
    }

    /// What the bystander has: a word a line, then an empty one.
    private static func readWords(
        _ output: consuming Descriptor, interruption: CInt?
    ) throws(LinuxError) -> [String] {
        var text: [UInt8] = []
        while !text.suffix(2).elementsEqual([0x0a, 0x0a]) {
            let ready = try Poll.wait(
                output.raw, for: .readable, nanoseconds: startNanoseconds, interruption: interruption)
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count =
                ready.isEmpty ? 0 : try checked("read what to attack") { read(output.raw, &chunk, chunk.count) }
            guard count > 0, text.count < wordBytesMax else {
                throw LinuxError(code: EIO, operation: "learn from sandbox-probe what there is to attack")
            }
            text += chunk[..<count]
        }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// What a probe is told that has `descriptors` from this number on.
    func words(descriptorsFrom first: CInt) -> [String] {
        words + ["agent=\(getpid())", "agent-address=\(UInt(bitPattern: memory.baseAddress))"]
            + ["model-descriptor=\(first)"] + leaked.enumerated().map { "\($1.key)=\(Int(first) + 1 + $0)" }
    }

    /// What leaks: a file, a folder, a socket, a terminal.
    var leakedDescriptors: [CInt] { leaked.map(\.descriptor) }

    /// Sends the secret's descriptor over a socket, to wait there for whoever receives messages (cmsg(3)).
    func sendSecret(over socket: CInt) throws(LinuxError) {
        // A header of 16 bytes (length, level, type), the descriptor, and padding to 24.
        var ancillary: [UInt64] = [
            20, UInt64(UInt32(SOL_SOCKET)) | UInt64(SCM_RIGHTS) << 32, UInt64(leaked.first?.descriptor ?? 0),
        ]
        var byte: UInt8 = 0
        try checked("send a descriptor") {
            withUnsafeMutablePointer(to: &byte) { byte in
                ancillary.withUnsafeMutableBytes { ancillary in
                    var bytes = iovec(iov_base: byte, iov_len: 1)
                    return withUnsafeMutablePointer(to: &bytes) { bytes in
                        var message = msghdr()
                        message.msg_iov = bytes
                        message.msg_iovlen = 1
                        message.msg_control = ancillary.baseAddress
                        message.msg_controllen = ancillary.count
                        return sendmsg(socket, &message, CInt(MSG_NOSIGNAL))
                    }
                }
            }
        }
    }
}

/// Another process of the same user, which ends with this value.
private struct Bystander: ~Copyable {
    private static let endNanoseconds: UInt64 = 2_000_000_000

    private let process: ProcessHandle
    /// A descriptor whose end is the bystander's, which takes away what outlives processes.
    private let input: CInt

    init(process: consuming ProcessHandle, input: consuming Descriptor) {
        self.process = process
        self.input = input.release()
    }

    deinit {
        close(input)
        _ = try? Poll.wait(process.raw, for: .readable, nanoseconds: Self.endNanoseconds)
        process.kill()
        _ = process.waitForExit()
    }
}
