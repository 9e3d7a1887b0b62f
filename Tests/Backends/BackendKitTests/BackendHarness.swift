import BackendIPC
import BackendKit
import Glibc
import LinuxSystem
import WireFormat

/// An engine served on a thread of its own, with the test at the other end of the socket.
final class BackendHarness {
    var conversation = BackendConversation(end: .agent)
    private(set) var received: [String] = []
    private(set) var fatal: Fault?
    private(set) var counts: [TokenCount] = []
    /// The texts of the runs.
    private(set) var runs: [String] = []
    private(set) var finishes: [UInt32: Finish] = [:]
    private(set) var status: Int32?
    private var thread = pthread_t()
    private var socket: Descriptor?
    private var input = FrameBuffer(frameBytesMax: ContractLimits.backendFrameBytesMax)

    /// What the thread runs; `pthread_create` owns it once, the thread takes it.
    private final class Work {
        let body: () -> Int32
        init(_ body: @escaping () -> Int32) { self.body = body }
    }

    /// Serves an engine and says everything up to `Load`.
    init(_ engine: some Engine & Sendable, maxSequences: UInt32 = 4, maxFrameBytes: UInt32 = 1 << 20) throws {
        signal(SIGPIPE, SIG_IGN)
        let (ours, raw) = try Descriptor.socketPair().take { ours, theirs in (ours.release(), theirs.release()) }
        socket = Descriptor(owning: ours)
        let work = Unmanaged.passRetained(
            Work {
                defer { close(raw) }
                return Backend.serve(engine, on: raw)
            })
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let work = Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
                return UnsafeMutableRawPointer(bitPattern: Int(work.body()) + 1)
            }, work.toOpaque())
        try listen { $0.conversation.hello != nil }
        try say(.welcome(Welcome(revision: 1, maxFrameBytes: maxFrameBytes, pingIntervalMilliseconds: 1_000)))
        try say(.load(Load(model: "m", maxSequences: maxSequences)))
    }

    deinit { _ = end() }

    func say(_ message: AgentMessage) throws {
        try conversation.agentSays(message)
        var output = OutputBuffer()
        message.appendFrame(to: &output)
        guard let socket = socket.take() else { return }
        try socket.writeAll(output.bytes)
        self.socket = consume socket
    }

    /// Hears what comes until a condition holds or the backend closes.
    func listen(until condition: (BackendHarness) -> Bool) throws {
        while true {
            while let frame = try input.next() {
                let message = try BackendMessage(decoding: frame)
                try conversation.backendSays(message)
                received.append(message.name)
                if case .fatal(let fault) = message { fatal = fault }
                if case .tokenCount(let count) = message { counts.append(count) }
                guard case .tokens(var batch) = message else { continue }
                while let run = try conversation.next(&batch) {
                    runs.append(String(decoding: run.text, as: UTF8.self))
                    if let finish = run.finish { finishes[run.sequence] = finish }
                }
            }
            if condition(self) { return }
            guard let socket = socket.take() else { return }
            let outcome = try input.read(from: socket.raw)
            self.socket = outcome == .end ? nil : consume socket
        }
    }

    /// Closes the socket and waits for the backend's exit status.
    func end() -> Int32 {
        if let status { return status }
        socket = nil
        var result: UnsafeMutableRawPointer?
        pthread_join(thread, &result)
        let status = Int32(Int(bitPattern: result) - 1)
        self.status = status
        return status
    }
}
