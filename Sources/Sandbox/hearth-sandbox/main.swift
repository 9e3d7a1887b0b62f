internal import Glibc
internal import LaunchSequence

// The launcher: makes itself a sandbox as its plan says, then becomes the backend. It has one thread, reads nothing
// but its plan, and writes nothing but one line when it fails. `LaunchDescriptor` says what it is given.
do throws(LaunchFailure) {
    _exit(try Launcher().run())
} catch {
    error.report()
}
