internal import Glibc
internal import LinuxSystem

/// The targets of the probes, in place of the machine's own: another process of the same user with its memory, files,
/// sockets and keys; leaked descriptors; this process, as the agent. All are made for the probes, so that these touch
/// nothing else. Used by one thread.
final class Decoys {
    /// The beginning of every secret among them (Sources/Sandbox/sandbox-probe/means.c).
    static let secret = "a secret of the owner"
    /// The secret in the probes' environment.
    static let environment = ["HEARTH_PROBE_SECRET=\(secret)"]
    /// Leaked descriptors have numbers above those that programs use.
    private static let leakedFrom: CInt = 60
    private static let wordBytesMax = 16 << 10
    private static let startNanoseconds: UInt64 = 10_000_000_000

    /// The weights, open for reading, as a backend gets them.
    let model: Descriptor
    /// Descriptors that are open in this process, and inherited by every process that does not close them.
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

    /// Reads the bystander's targets: one word a line, then an empty line.
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

    /// The arguments of a probe that has `descriptors` from this number on.
    func words(descriptorsFrom first: CInt) -> [String] {
        words + ["agent=\(getpid())", "agent-address=\(UInt(bitPattern: memory.baseAddress))"]
            + ["model-descriptor=\(first)"] + leaked.enumerated().map { "\($1.key)=\(Int(first) + 1 + $0)" }
    }

    /// The leaked descriptors: a file, a folder, a socket, a terminal.
    var leakedDescriptors: [CInt] { leaked.map(\.descriptor) }

    /// Sends the secret's descriptor over a socket, where it waits for a program that receives messages (cmsg(3)).
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
    /// A descriptor whose end tells the bystander to end, and to remove what outlives processes.
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
