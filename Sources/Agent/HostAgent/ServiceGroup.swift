internal import SandboxLaunch

/// The control group that a service manager has made for the agent.
package enum ServiceGroup {
    /// Makes room in it for the main process, where backends have outlived the agent before.
    package static func vacate() { ControlGroups.vacate() }
}
