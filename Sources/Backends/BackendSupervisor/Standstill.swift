internal import EventLoop
internal import LinuxSystem

/// What waits at a backend while its process is about to pass to another agent.
struct Standstill {
    let since: Monotonic
    /// The other agent has what it needs to go on with the process.
    var isPassed = false
    /// What has happened meanwhile.
    var events: [@IOLoop () -> Void] = []
    /// How the launch under way has ended meanwhile.
    var launch: Result<StartedBackend, StartFailure>?
}
