internal import Glibc
internal import LaunchPlan
internal import LaunchSequence

// The launcher, but for plans with any subset of its tier's layers: with it the tests measure what each layer stops by
// itself. Never installed.
do throws(LaunchFailure) {
    _exit(try Launcher(anyLayers: true).run())
} catch {
    error.report()
}
