internal import Glibc
internal import LaunchPlan
internal import LinuxSystem

/// A layer that could not be applied: which one, why, and what to do about it.
package struct LaunchFailure: Error {
    let text: String
    /// The same launch may succeed later, though nobody mends anything.
    let isTransient: Bool
    /// The backend ran already.
    private(set) var hasBegun = false

    init(_ layer: SandboxLayers, _ error: LinuxError, remedy: String? = nil) {
        let reason = remedy.map { "\(error); \($0)" } ?? error.description
        text = "\(layer.names.joined(separator: ", ")): \(reason)"
        // A group is gone when another agent, or whoever delegated it, tidied up in that moment: the next launch has
        // another one.
        isTransient = error.isTransient || layer == .controlGroup
    }

    init(_ text: String, isTransient: Bool = false) {
        self.text = text
        self.isTransient = isTransient
    }

    /// The same failure, of a backend that ran already.
    func afterTheBeginning() -> LaunchFailure {
        var failure = self
        failure.hasBegun = true
        return failure
    }

    /// Tells the agent on the report's pipe and the reader of standard error in one line, and ends this process. A forked
    /// child, too, must not run its parent's cleanup.
    package func report() -> Never {
        let verdict = LaunchVerdict(text, isTransient: isTransient || hasBegun, hasBegun: hasBegun)
        let record = LaunchReport.failed(verdict).encoded()
        _ = write(LaunchDescriptor.report, record, record.count)
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
        throw LaunchFailure(layer, error, remedy: remedy)
    }
}
