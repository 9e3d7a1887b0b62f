package import BackendIPC
internal import ByteBuffer
internal import Glibc
package import LinuxSystem
internal import WireFormat

/// The agent's end of a backend's socket, and the backend's process where it started one. Every message in either
/// direction is checked against the contract before it is sent and after it was read; a violation is thrown as
/// `ContractViolation`. Every wait has a time limit. It owns the socket. One thread uses it.
///
///     let backend = try BackendDriver(socket: socket, process: process)
///     try backend.shakeHands()
///     try backend.say(.load(load))
///     try backend.listen { $0.conversation.phase == .ready }
///     try backend.start(0, request)
///     let completion = try backend.finish(0)
package final class BackendDriver {
    /// Why a conversation stopped.
    package enum Failure: Error, Equatable, CustomStringConvertible {
        case silent(milliseconds: UInt64)
        case deaf(milliseconds: UInt64)
        case runsOn(milliseconds: UInt64)
        case closed
        case fatal(Fault)

        package var description: String {
            switch self {
            case .silent(let milliseconds): "the backend said nothing for \(milliseconds) ms"
            case .deaf(let milliseconds): "the backend did not read for \(milliseconds) ms"
            case .runsOn(let milliseconds): "the backend did not end within \(milliseconds) ms"
            case .closed: "the backend closed its socket"
            case .fatal(let fault): "the backend gave up: \(fault)"
            }
        }
    }

    /// Nil: the backend has no process of its own.
    package let process: (any DrivenProcess)?
    /// The longest wait for the backend's next byte, for room to write to it, and for its end.
    package let patienceMilliseconds: UInt64
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

    /// Takes over a connected socket with a backend at its other end.
    package init(
        socket: consuming Descriptor, process: (any DrivenProcess)? = nil, patienceMilliseconds: UInt64 = 20_000
    ) throws {
        try socket.setNonblocking(true)
        descriptor = socket.raw
        self.socket = consume socket
        self.process = process
        self.patienceMilliseconds = patienceMilliseconds
    }
}

// Sending and receiving.
extension BackendDriver {
    /// Sends a message.
    package func say(_ message: AgentMessage) throws {
        try say(all: [message])
    }

    /// Sends messages at once.
    package func say(all messages: [AgentMessage]) throws {
        var output = ByteQueue()
        for message in messages { try append(message, to: &output) }
        while !output.isEmpty { try send(&output) }
    }

    /// Sends a message, and behind its own fields further ones, encoded.
    package func say(_ message: AgentMessage, withFields further: [UInt8]) throws {
        var plain = ByteQueue()
        try append(message, to: &plain)
        var reader = WireReader(UnsafeRawBufferPointer(rebasing: plain.bytes[4...]))
        guard let field = try reader.next() else { return }
        let content = try reader.bytes()
        var output = ByteQueue()
        output.appendFrame(field: field.number, byteCount: content.count + further.count) { writer in
            writer.raw(content)
            further.withUnsafeBytes { writer.raw($0) }
        }
        while !output.isEmpty { try send(&output) }
    }

    /// Sends a message so that each read of the backend finds a byte of it, as far as it reads fast enough.
    package func sayInBytes(_ message: AgentMessage) throws {
        var output = ByteQueue()
        try append(message, to: &output)
        while !output.isEmpty { try send(&output, bytesMax: 1) }
    }

    private func append(_ message: AgentMessage, to output: inout ByteQueue) throws(ContractViolation) {
        try conversation.agentSays(message)
        switch message {
        case .start(let start): completions[start.sequence] = Completion()
        case .welcome(let welcome): input.frameBytesMax = Int(welcome.maxFrameBytes)
        default: break
        }
        message.appendFrame(to: &output)
    }

    private func send(_ output: inout ByteQueue, bytesMax: Int = .max) throws {
        guard !isClosed else { throw Failure.closed }
        let ready = try Poll.wait(descriptor, for: .writable, nanoseconds: patienceMilliseconds * 1_000_000)
        guard !ready.isEmpty else { throw Failure.deaf(milliseconds: patienceMilliseconds) }
        let bytes = output.bytes
        let count = Glibc.send(descriptor, bytes.baseAddress, min(bytes.count, bytesMax), CInt(MSG_NOSIGNAL))
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
    /// fault, closes its socket or sends nothing for too long, by default for `patienceMilliseconds`.
    package func listen(forMilliseconds patience: UInt64? = nil, until condition: (BackendDriver) -> Bool) throws {
        let patience = patience ?? patienceMilliseconds
        while true {
            while let frame = try input.next() { try hear(frame) }
            if condition(self) { return }
            if let fatal { throw Failure.fatal(fatal) }
            if isClosed { throw Failure.closed }
            let ready = try Poll.wait(descriptor, for: .readable, nanoseconds: patience * 1_000_000)
            guard !ready.isEmpty else { throw Failure.silent(milliseconds: patience) }
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

    /// Closes the agent's end, also where another owner has the socket open.
    package func closeSocket() {
        isClosed = true
        if socket != nil { _ = Glibc.shutdown(descriptor, CInt(SHUT_RDWR)) }
        socket = nil
    }

    /// Waits for its process to end, by default for `patienceMilliseconds`; how it ended. Nil: it has none.
    package func awaitEnd(forMilliseconds patience: UInt64? = nil) throws -> ExitStatus? {
        guard let process else { return nil }
        let patience = patience ?? patienceMilliseconds
        guard let status = try process.awaitEnd(milliseconds: patience) else {
            throw Failure.runsOn(milliseconds: patience)
        }
        return status
    }
}
