internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import LinuxSystem
internal import Logging

/// Puts what the owner asks of the whole agent into force, and keeps it for the next start. On the loop.
@IOLoop
final class OwnersHand {
    private let supervisor: Supervisor
    private let file: HoldFile
    private let logger: Logger
    /// One file at a time: what was asked last must be what is kept.
    private var lastWriting: Task<LinuxError?, Never>?

    init(_ supervisor: Supervisor, file: HoldFile, logger: Logger) {
        self.supervisor = supervisor
        self.file = file
        self.logger = logger
    }

    /// Puts into force what was kept, before any backend was started.
    func restore(_ hold: OwnerHold) {
        if let pause = hold.pause { supervisor.take(.pause(unloading: pause == .unloaded)) }
        if hold.isDraining { supervisor.take(.drain) }
        if !hold.isEmpty { logger.notice("as before its last end, this agent is \(hold.words)") }
    }

    /// Puts into force what was in force in the agent before, whose file may have been read before that was.
    func goOn(with hold: OwnerHold) {
        guard hold != supervisor.hold else { return }
        supervisor.take(.resume)
        restore(hold)
    }

    /// Another agent takes the place of this one, and hears nothing of what is asked here.
    var isPassing = false

    /// Returns once it is in force and kept. Throws UNAVAILABLE while another agent takes over, and INTERNAL when it is in force and could not be kept.
    func take(_ request: OwnerHold.Request) async throws(Status) {
        guard !isPassing else {
            throw Status(.unavailable, "another agent is just taking the place of this one: ask again")
        }
        let before = supervisor.hold
        supervisor.take(request)
        let hold = supervisor.hold
        if hold != before {
            logger.notice(hold.isEmpty ? "its owner lets this agent go on" : "this agent is \(hold.words)")
        }
        let failure = await keep(hold)
        await supervisor.whenStill()
        if let failure {
            throw Status(
                .internalError,
                "this is in force, but not after the agent's next start: it cannot be written down (\(failure))")
        }
    }

    private func keep(_ hold: OwnerHold) async -> LinuxError? {
        let (earlier, file) = (lastWriting, file)
        let writing = Task {
            _ = await earlier?.value
            return await Self.write(hold, file)
        }
        lastWriting = writing
        return await writing.value
    }

    /// On a thread of its own, because a disk may hang.
    private static func write(_ hold: OwnerHold, _ file: HoldFile) async -> LinuxError? {
        await withCheckedContinuation { continuation in
            do throws(LinuxError) {
                try DetachedThread.run {
                    var failure: LinuxError?
                    do throws(LinuxError) { try file.write(hold) } catch { failure = error }
                    continuation.resume(returning: failure)
                }
            } catch {
                continuation.resume(returning: error)
            }
        }
    }
}
