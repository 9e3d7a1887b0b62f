import BackendDriver
import BackendIPC
import BackendKit
import BackendProgram
import Glibc
import LinuxSystem

/// An engine served on a thread of its own, with the test as its agent.
final class ServedEngine {
    let agent: BackendDriver
    private var thread = pthread_t()
    private var status: Int32?

    /// What the thread runs; `pthread_create` owns it once, the thread takes it.
    private final class Work {
        let body: () -> Int32
        init(_ body: @escaping () -> Int32) { self.body = body }
    }

    /// Serves an engine and says everything up to `Load`.
    init(_ engine: some Engine & Sendable) throws {
        signal(SIGPIPE, SIG_IGN)
        let (ours, raw) = try Descriptor.socketPair().take { ours, theirs in (ours.release(), theirs.release()) }
        agent = try BackendDriver(socket: Descriptor(owning: ours))
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
        try agent.shakeHands()
        try agent.askToLoad(model: "m", maxSequences: 4)
    }

    deinit { _ = end() }

    /// Closes the socket and waits for the backend's exit status.
    func end() -> Int32 {
        if let status { return status }
        agent.closeSocket()
        var result: UnsafeMutableRawPointer?
        pthread_join(thread, &result)
        let status = Int32(Int(bitPattern: result) - 1)
        self.status = status
        return status
    }
}
