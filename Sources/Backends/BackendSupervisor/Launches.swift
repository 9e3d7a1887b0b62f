internal import EventLoop
internal import SandboxLaunch

/// The launches of one backend: the one that it waits for, and those that hang and were abandoned.
///
/// Owned by its `ManagedBackend`; the I/O loop's own.
@IOLoop
final class Launches {
    private let setting: BackendSetting
    private var awaited: Attempt?
    private var hung: [Attempt] = []

    init(_ setting: BackendSetting) { self.setting = setting }

    /// Begins a launch and calls `ended` with its result. If it was abandoned and returns after all, `hungUntilNow` is
    /// called instead, and its process is ended. Both closures are kept until then: a process must not come up without
    /// an owner.
    func begin(
        _ definition: BackendDefinition, ended: @escaping @IOLoop (Result<StartedBackend, StartFailure>) -> Void,
        hungUntilNow: @escaping @IOLoop (BackendDefinition) -> Void
    ) {
        let configuration = setting.configuration
        let attempt = Attempt(
            BackendStart(
                definition: definition, starter: setting.starter, digests: setting.digests,
                policiesDirectory: configuration.policiesDirectory,
                weightsSettledMilliseconds: configuration.limits.weightsSettledMilliseconds))
        awaited = attempt
        Task {
            let result = await run(attempt)
            if awaited === attempt {
                awaited = nil
                return ended(result)
            }
            hung.removeAll { $0 === attempt }
            if case .success(let launch) = result { launch.process.end() }
            hungUntilNow(definition)
        }
    }

    /// Tells the awaited launch that its result is not wanted any more; the result still comes.
    func callOff() { awaited?.preparation.control.callOff() }

    /// Stops waiting for the awaited launch.
    func abandon() {
        guard let awaited else { return }
        callOff()
        hung.append(awaited)
        self.awaited = nil
    }

    /// Whether the awaited launch has made progress since the last call.
    func haveProgressed() -> Bool { awaited?.hasProgressed() ?? false }

    private func run(_ attempt: Attempt) async -> Result<StartedBackend, StartFailure> {
        if let refusal = refusal(of: attempt) { return .failure(StartFailure(refusal)) }
        setting.launches += 1
        defer { setting.launches -= 1 }
        return await attempt.preparation.run()
    }

    /// A launch that hangs would hang again, and every one that does keeps a thread.
    private func refusal(of attempt: Attempt) -> SupervisorError? {
        if hung.contains(where: { $0.preparation.definition == attempt.preparation.definition }) {
            return SupervisorError(
                "an earlier start still waits for the disk that its executable, its weights or the launcher are on",
                isTransient: true)
        }
        let most = setting.configuration.limits.launchesMax
        guard setting.launches >= most else { return nil }
        return SupervisorError("\(most) launches are under way or hang; at most so many are begun", isTransient: true)
    }

    @IOLoop
    private final class Attempt {
        let preparation: BackendStart
        /// The steps at the last look.
        private var steps: UInt64 = 0

        init(_ preparation: BackendStart) { self.preparation = preparation }

        func hasProgressed() -> Bool {
            defer { steps = preparation.control.steps }
            return preparation.control.steps != steps
        }
    }
}
