/// One act that a hostile backend could try, as `sandbox-probe list` prints it.
package struct Probe: Hashable, Sendable {
    package let name: String
    /// The part of the machine that it is aimed at, such as "network".
    package let group: String
    /// The meaning of its success for the owner, as the end of "a backend ...".
    package let meaning: String

    package init(name: String, group: String, meaning: String) {
        self.name = name
        self.group = group
        self.meaning = meaning
    }

    /// Reads the list: one line for each probe, its parts separated by tabs. Lines of another form are left out.
    package static func list(_ text: String) -> [Probe] {
        text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "\t").map(String.init)
            return parts.count == 3 ? Probe(name: parts[0], group: parts[1], meaning: parts[2]) : nil
        }
    }
}

/// The outcome of one attempt.
package enum ProbeOutcome: Equatable, Sendable, CustomStringConvertible {
    /// The act reached its aim.
    case done
    /// A call was refused, with this errno by name, such as "EPERM".
    case refused(String)
    /// A signal ended it.
    case ended(signal: CInt)
    /// It hung until the time limit, and was killed.
    case timedOut

    package var description: String {
        switch self {
        case .done: "done"
        case .refused(let reason): reason
        case .ended(let signal): "signal \(signal)"
        case .timedOut: "timed out"
        }
    }
}

/// The outcomes of a probe outside and inside the sandbox. The attempt outside is the control: an act that is refused
/// there too was not stopped by the sandbox.
package struct ProbeResult: Equatable, Sendable {
    package enum Verdict: String, Equatable, Sendable {
        /// It succeeds outside, but not inside.
        case stopped
        /// It succeeds inside, whatever happens outside.
        case escaped
        /// It succeeds nowhere on this machine.
        case provesNothing = "proves nothing"
    }

    package let probe: Probe
    package let outside: ProbeOutcome
    package let inside: ProbeOutcome

    package init(probe: Probe, outside: ProbeOutcome, inside: ProbeOutcome) {
        self.probe = probe
        self.outside = outside
        self.inside = inside
    }

    package var verdict: Verdict {
        if inside == .done { return .escaped }
        return outside == .done ? .stopped : .provesNothing
    }
}
