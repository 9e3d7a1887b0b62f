internal import Glibc
internal import LaunchPlan
internal import LinuxSystem

/// A layer that could not be applied: which one, why, and what to do about it.
package struct LaunchFailure: Error {
    let text: String

    init(_ layer: SandboxLayers, _ reason: String) {
        text = "\(layer.names.joined(separator: ", ")): \(reason)"
    }

    init(_ text: String) { self.text = text }

    /// One line on standard error, and the end of this process. A forked child, too, must not run its parent's cleanup.
    package func report() -> Never {
        let line = Array("hearth-sandbox: \(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        _exit(LaunchStatus.failed)
    }
}

/// Runs the calls that make up a layer; a failure of one is the failure of the layer.
func layer<Value: ~Copyable>(
    _ layer: SandboxLayers, remedy: String? = nil, _ body: () throws(LinuxError) -> Value
) throws(LaunchFailure) -> Value {
    do throws(LinuxError) {
        return try body()
    } catch {
        throw LaunchFailure(layer, remedy.map { "\(error); \($0)" } ?? error.description)
    }
}
