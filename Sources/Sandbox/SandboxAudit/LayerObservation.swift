package import LaunchPlan

/// What /proc shows of a process that runs in the sandbox: layers that hold, and layers that do not. Some layers leave
/// no trace there; those are only probed.
package struct LayerObservation: Equatable, Sendable {
    package var seen: SandboxLayers = []
    package var contradicted: SandboxLayers = []

    package init() {}

    /// Takes one observation; nil: nothing could be seen.
    mutating func note(_ layer: SandboxLayers, _ holds: Bool?) {
        switch holds {
        case true?: seen.formUnion(layer)
        case false?: contradicted.formUnion(layer)
        case nil: break
        }
    }

    /// Takes the observations of /proc/PID/status (proc_pid_status(5)).
    mutating func note(status: String) {
        func field(_ name: String) -> Substring? {
            status.split(separator: "\n").first { $0.hasPrefix(name + ":") }?
                .dropFirst(name.utf8.count + 1).drop { $0 == "\t" || $0 == " " }
        }
        note(.noNewPrivileges, field("NoNewPrivs").map { $0 == "1" })
        note(.seccomp, field("Seccomp").map { $0 == "2" })
        let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"].compactMap(field)
        note(.noCapabilities, sets.isEmpty ? nil : sets.allSatisfy { $0.allSatisfy { $0 == "0" } })
        if let speculation = field("Speculation_Store_Bypass") {
            // "thread force mitigated"; other words mean that there was nothing to turn off.
            note(.speculationControls, speculation.contains("force") ? true : nil)
        }
    }

    /// Takes the observations of /proc/PID/limits: its rows have fixed columns, and the limits are the two words before
    /// the unit.
    mutating func note(limits: String, plan: [ResourceLimit]) {
        guard let wanted = plan.first(where: { $0.resource == .descriptors })?.value else { return }
        let row = limits.split(separator: "\n").first { $0.hasPrefix("Max open files") }
        let words = row?.split(separator: " ") ?? []
        guard words.count > 4 else { return }
        note(.resourceLimits, words[3] == "\(wanted)" && words[4] == "\(wanted)")
    }
}
