internal import Glibc
internal import LaunchPlan
internal import LaunchSequence

// The launcher: makes itself a sandbox as its plan says, forks the backend in it, and keeps it to its end. It has one
// thread, reads nothing but its plan and the agent's commands, and writes nothing but its reports to the agent and one
// line when it fails. `GivenDescriptor` says what it is given.
do throws(LaunchFailure) {
    _exit(try Launcher().run())
} catch {
    error.report()
}
