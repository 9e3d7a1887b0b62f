package import BackendIPC
internal import ByteBuffer
internal import Glibc
package import LinuxSystem
internal import WireFormat

/// The agent's end of a backend's socket, and the backend's process where it started one. Every message in either
/// direction is checked against the contract before it is sent and after it was read; a violation is thrown as
/// `ContractViolation`. Every wait has a time limit. It owns the socket and the process. One thread uses it.
///
///     let backend = try BackendDriver(BackendProgram(path: "./my-backend"))
///     try backend.load(model: "m")
///     try backend.start(0, request)
///     let completion = try backend.finish(0)
package final class BackendDriver {
    /// Why a conversation stopped.
    package enum Failure: Error, Equatable, CustomStringConvertible {
        case silent(seconds: UInt64)
        case deaf(seconds: UInt64)
        case runsOn(seconds: UInt64)
        case closed
        case fatal(Fault)

        package var description: String {
            switch self {
            case .silent(let seconds): "the backend said nothing for \(seconds) s"
            case .deaf(let seconds): "the backend did not read for \(seconds) s"
            case .runsOn(let seconds): "the backend did not end within \(seconds) s"
            case .closed: "the backend closed its socket"
            case .fatal(let fault): "the backend gave up: \(fault)"
            }
        }
    }

    /// Nil: the backend is no child of this process.
    package let process: BackendProcess?
    /// The longest wait for the backend's next byte, for room to write to it, and for its end.
    package let patienceSeconds: UInt64
    package private(set) var conversation = BackendConversation(end: .agent)
    /// The names of its messages, in their order.
    package private(set) var received: [String] = []
    /// The completions by sequence, since the last start of each.
    package private(set) var completions: [UInt32: Completion] = [:]
    package private(set) var pongs: [Pong] = []
    package private(set) var counts: [TokenCount] = []
    package private(set) var tokenized: [Tokenized] = []
    package private(set) var embedded: [Embedded] = []
    /// What it told of a file that it was asked to inspect.
    package private(set) var inspected: Inspected?
    /// The fault that the backend ended with.
    package private(set) var fatal: Fault?
    /// Either end closed the socket.
    package private(set) var isClosed = false
    private var socket: Descriptor?
    /// Borrowed from `socket`, while that is held.
    private let descriptor: CInt
    private var input = FrameBuffer(frameBytesMax: ContractLimits.backendFrameBytesMax)
    let program: BackendProgram?

    /// Takes over a connected socket with a backend at its other end.
    package convenience init(socket: consuming Descriptor, patienceSeconds: UInt64 = 20) throws {
        try self.init(socket: socket, process: nil, program: nil, patienceSeconds: patienceSeconds)
    }

    /// Starts a backend, and sends no message.
    package convenience init(_ program: BackendProgram, patienceSeconds: UInt64 = 20) throws {
        let (ours, theirs) = try Descriptor.socketPair().take { ours, theirs in (ours.release(), theirs.release()) }
        let agentEnd = Descriptor(owning: ours)
        let backendEnd = Descriptor(owning: theirs)
        try backendEnd.setNonblocking(!program.socketBlocks)
        let process = try BackendProcess(program, socket: backendEnd.raw)
        try self.init(socket: agentEnd, process: process, program: program, patienceSeconds: patienceSeconds)
    }

    private init(
        socket: consuming Descriptor, process: BackendProcess?, program: BackendProgram?, patienceSeconds: UInt64
    ) throws {
        try socket.setNonblocking(true)
        descriptor = socket.raw
        self.socket = consume socket
        self.process = process
        self.program = program
        self.patienceSeconds = patienceSeconds
    }
}

// Sending and receiving.
extension BackendDriver {
    /// Sends a message.
    package func say(_ message: AgentMessage) throws {
        try conversation.agentSays(message)
        if case .start(let start) = message { completions[start.sequence] = Completion() }
        var output = ByteQueue()
        message.appendFrame(to: &output)
        while !output.isEmpty { try send(&output) }
    }

    private func send(_ output: inout ByteQueue) throws {
        guard !isClosed else { throw Failure.closed }
        let ready = try Poll.wait(descriptor, for: .writable, nanoseconds: patienceSeconds * 1_000_000_000)
        guard !ready.isEmpty else { throw Failure.deaf(seconds: patienceSeconds) }
        let bytes = output.bytes
        let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
        if count >= 0 {
            output.removeFirst(count)
            return
        }
        switch errno {
        case EAGAIN, EINTR: return
        case EPIPE, ECONNRESET: throw Failure.closed
        default: throw LinuxError.last("write to the backend")
        }
    }

    /// Receives messages until a condition holds. Throws if before that the backend breaks the contract, ends with a
    /// fault, closes its socket or sends nothing for too long.
    package func listen(until condition: (BackendDriver) -> Bool) throws {
        while true {
            while let frame = try input.next() { try hear(frame) }
            if condition(self) { return }
            if let fatal { throw Failure.fatal(fatal) }
            if isClosed { throw Failure.closed }
            let ready = try Poll.wait(descriptor, for: .readable, nanoseconds: patienceSeconds * 1_000_000_000)
            guard !ready.isEmpty else { throw Failure.silent(seconds: patienceSeconds) }
            if try input.read(from: descriptor) == .end { isClosed = true }
        }
    }

    private func hear(_ frame: UnsafeRawBufferPointer) throws {
        let message = try BackendMessage(decoding: frame)
        try conversation.backendSays(message)
        received.append(message.name)
        switch message {
        case .tokens(var batch):
            while let run = try conversation.next(&batch) {
                completions[run.sequence, default: Completion()].add(run)
            }
        case .pong(let pong): pongs.append(pong)
        case .tokenCount(let count): counts.append(count)
        case .tokenized(let tokenized): self.tokenized.append(tokenized)
        case .embedded(let embedded): self.embedded.append(embedded)
        case .fatal(let fault): fatal = fault
        case .inspected(let inspected): self.inspected = inspected
        case .hello, .loadProgress, .loaded: break
        }
    }

    /// Whether no message comes within a time.
    package func saysNothing(forMilliseconds milliseconds: UInt64) throws -> Bool {
        guard input.count == 0, !isClosed else { return false }
        return try Poll.wait(descriptor, for: .readable, nanoseconds: milliseconds * 1_000_000).isEmpty
    }

    /// Closes the agent's end.
    package func closeSocket() {
        isClosed = true
        socket = nil
    }

    /// Waits for its process to end; how it ended. Nil: it has none.
    package func awaitEnd() throws -> ExitStatus? {
        guard let process else { return nil }
        guard let status = try process.awaitEnd(seconds: patienceSeconds) else {
            throw Failure.runsOn(seconds: patienceSeconds)
        }
        return status
    }
}
