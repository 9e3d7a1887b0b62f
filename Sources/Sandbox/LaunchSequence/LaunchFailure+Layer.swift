internal import Glibc
package import LaunchPlan
internal import LinuxSystem

extension LaunchFailure {
    /// A layer that could not be applied, with the reason and the remedy.
    init(_ layer: SandboxLayers, _ error: LinuxError, remedy: String? = nil) {
        let reason = remedy.map { "\(error); \($0)" } ?? error.description
        // A group may have been removed just now by another agent, or by the manager that delegated it: the next launch
        // has another one.
        self.init(
            "\(layer.names.joined(separator: ", ")): \(reason)",
            isTransient: error.isTransient || layer == .controlGroup)
    }

    /// Tells the agent, and the reader of standard error in one line, and ends this process. A forked child, too, must not
    /// run its parent's cleanup.
    package func report() -> Never {
        AgentSocket.say(told)
        end()
    }

    /// The same for a process that may be under the backend's filter already, through its keeper: write(2) is allowed
    /// by every filter under which a backend can answer at all.
    func report(through pipe: CInt) -> Never {
        let bytes = told.encoded()
        _ = write(pipe, bytes, bytes.count)
        end()
    }

    private var told: KeeperReport { .failed(reason: reason, isTransient: isTransient) }

    private func end() -> Never {
        let line = Array("hearth-sandbox: \(reason)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        _exit(LauncherStatus.failed)
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
