import BackendIPC
import Glibc
import LinuxSystem
import TestPlaces
import Testing
import WireFormat

/// The built backend `echo` as a process of its own, with the test as its agent. Single-threaded; every wait has an end.
final class EchoProcess {
    struct Unexpected: Error, CustomStringConvertible {
        let description: String
    }

    /// What one sequence said.
    struct Heard: Equatable {
        var ids: [UInt32] = []
        var text: [UInt8] = []
        var runs = 0
        var finish: Finish?
    }

    let pid: pid_t
    var conversation = BackendConversation(end: .agent)
    private(set) var heard: [UInt32: Heard] = [:]
    private(set) var lastPong: Pong?
    private(set) var lastCount: TokenCount?
    private(set) var progressReports = 0
    private(set) var fatal: Fault?
    private(set) var isClosed = false
    /// The exit status as waitpid(2) gives it, once the process was awaited.
    private(set) var status: CInt?
    private var socket: Descriptor?
    private var input = FrameBuffer(frameBytesMax: ContractLimits.backendFrameBytesMax)

    /// Nothing is said yet. The backend's end of the socket is blocking or not, as asked.
    init(nonblocking: Bool = true) throws {
        let (ours, theirs) = try Descriptor.socketPair().take { ours, theirs in (ours.release(), theirs.release()) }
        let backendEnd = Descriptor(owning: theirs)
        let agentEnd = Descriptor(owning: ours)
        try backendEnd.setNonblocking(nonblocking)
        try agentEnd.setNonblocking(true)
        pid = try Self.spawn(Built.path("echo"), socket: backendEnd.raw)
        socket = consume agentEnd
    }

    deinit {
        if status == nil {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
    }

    /// A process that has loaded its model.
    static func ready(
        sequences: UInt32 = 16, contextTokens: UInt32 = 0, options: [String: String] = [:], nonblocking: Bool = true
    ) throws -> EchoProcess {
        let echo = try EchoProcess(nonblocking: nonblocking)
        try echo.shakeHands()
        try echo.say(
            .load(Load(model: "echo", contextTokens: contextTokens, maxSequences: sequences, options: options)))
        try echo.listen { $0.conversation.phase == .ready }
        return echo
    }

    func shakeHands() throws {
        try listen { $0.conversation.phase == .awaitingWelcome }
        try say(.welcome(Welcome(revision: 1, maxFrameBytes: 1 << 20, pingIntervalMilliseconds: 1_000)))
    }

    private static func spawn(_ path: String, socket: CInt) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, socket, 3)
        var pid: pid_t = 0
        let argument = strdup(path)
        defer { free(argument) }
        let code = posix_spawn(&pid, path, &actions, nil, [argument, nil], [nil])
        guard code == 0 else { throw LinuxError(code: code, operation: "start \(path)") }
        return pid
    }

    /// Sends a message; it must fit the socket's buffer.
    func say(_ message: AgentMessage) throws {
        try conversation.agentSays(message)
        var output = OutputBuffer()
        message.appendFrame(to: &output)
        while !output.isEmpty, let socket = socket.take() {
            let ready = try Poll.wait(socket.raw, for: .writable, nanoseconds: 10_000_000_000)
            guard ready.contains(.writable) else { throw Unexpected(description: "the backend does not read") }
            let bytes = output.bytes
            let count = write(socket.raw, bytes.baseAddress, bytes.count)
            self.socket = consume socket
            guard count >= 0 else { throw LinuxError.last("write to the backend") }
            output.consume(count)
        }
    }

    func start(
        _ sequence: UInt32, _ request: [UInt8], credit: UInt32 = 1_000_000
    ) throws {
        heard[sequence] = Heard()
        try say(.start(Start(sequence: sequence, credit: credit, request: request)))
    }

    /// Hears what comes until a condition holds; throws when the backend breaks the contract, ends, or says nothing for
    /// 20 seconds.
    func listen(until condition: (EchoProcess) -> Bool) throws {
        while true {
            while let frame = try input.next() { try hear(frame) }
            if condition(self) { return }
            if isClosed { throw Unexpected(description: "the backend closed its socket") }
            try receive()
        }
    }

    func listen(toFinish sequence: UInt32) throws -> Heard {
        try listen { $0.heard[sequence]?.finish != nil }
        return heard[sequence] ?? Heard()
    }

    private func receive() throws {
        guard let socket = socket.take() else {
            isClosed = true
            return
        }
        let ready = try Poll.wait(socket.raw, for: .readable, nanoseconds: 20_000_000_000)
        guard !ready.isEmpty else { throw Unexpected(description: "the backend said nothing for 20 s") }
        if try input.read(from: socket.raw) == .end { isClosed = true }
        self.socket = consume socket
    }

    private func hear(_ frame: UnsafeRawBufferPointer) throws {
        let message = try BackendMessage(decoding: frame)
        try conversation.backendSays(message)
        switch message {
        case .tokens(var batch):
            while let run = try conversation.next(&batch) {
                heard[run.sequence, default: Heard()].ids += run.tokenIDs
                heard[run.sequence, default: Heard()].text += run.text
                heard[run.sequence, default: Heard()].runs += 1
                heard[run.sequence, default: Heard()].finish = run.finish
            }
        case .pong(let pong): lastPong = pong
        case .tokenCount(let count): lastCount = count
        case .loadProgress: progressReports += 1
        case .fatal(let fault): fatal = fault
        case .hello, .loaded: break
        }
    }

    /// Asks and awaits the answer: everything said before has then been taken notice of.
    @discardableResult
    func ping(_ nonce: UInt64) throws -> Pong {
        try say(.ping(Ping(nonce: nonce)))
        try listen { $0.lastPong?.nonce == nonce }
        return lastPong ?? Pong(nonce: 0, steps: 0, tokens: 0, sequences: 0)
    }

    /// Whether anything comes within a time.
    func saysNothing(forMilliseconds milliseconds: UInt64) throws -> Bool {
        guard input.count == 0, let socket = socket.take() else { return false }
        let ready = try Poll.wait(socket.raw, for: .readable, nanoseconds: milliseconds * 1_000_000)
        self.socket = consume socket
        return ready.isEmpty
    }

    func closeSocket() { socket = nil }

    /// Waits for the process to end; its status as in waitpid(2).
    func awaitEnd() -> CInt {
        var status: CInt = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        self.status = status
        return status
    }
}
