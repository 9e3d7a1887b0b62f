internal import SeccompFilter

extension LaunchPlan {
    /// Checks what must hold of every plan: a tier has all its layers, the backend is not root, every path is absolute,
    /// every size is within its bound.
    package func validate(anyLayers: Bool = false) throws(RecordError) {
        guard !arguments.isEmpty else { throw RecordError("arguments are missing") }
        guard anyLayers || layers.subtracting(.hostDependent) == tier.layers else {
            let missing = tier.layers.subtracting(layers).names.joined(separator: ", ")
            throw RecordError("tier \(tier.rawValue) must have exactly its layers; missing: \(missing)")
        }
        do throws(FilterError) {
            _ = try FilterProgram(filter)
        } catch {
            throw RecordError(error.description)
        }
        guard userID != 0, groupID != 0, userID != .max, groupID != .max else {
            throw RecordError("user and group inside must not be 0")
        }
        guard handedOnCount <= LaunchPlan.Bounds.handedOnCountMax else {
            throw RecordError(
                "\(handedOnCount) descriptors to hand on; at most \(LaunchPlan.Bounds.handedOnCountMax)")
        }
        try validateTexts()
        try validateBinds()
        if tier == .reduced { try validateReduced() }
    }

    private func validateTexts() throws(RecordError) {
        for list in [
            arguments.count, environment.count, binds.count, limits.count, tellingArguments.count, links.count * 2,
            devices.count,
        ]
        where list > LaunchPlan.Bounds.listCountMax {
            throw RecordError("a list of \(list) entries; at most \(LaunchPlan.Bounds.listCountMax)")
        }
        for text in arguments + environment + binds.flatMap({ [$0.source, $0.root, $0.within, $0.target] }) {
            guard text.utf8.count <= LaunchPlan.Bounds.stringBytesMax, !text.utf8.contains(0) else {
                throw RecordError("a text is longer than \(LaunchPlan.Bounds.stringBytesMax) bytes or contains NUL")
            }
        }
    }

    /// Checks that no target is below another, so that none is looked up within another bind.
    private func validateBinds() throws(RecordError) {
        for bind in binds { try bind.validate() }
        for link in links {
            guard ReadOnlyBind.components(of: "/" + link.name)?.count == 1,
                ReadOnlyBind.components(of: "/" + link.target) != nil
            else { throw RecordError("'\(link.name)' cannot link to '\(link.target)'") }
        }
        for device in devices {
            guard let parts = ReadOnlyBind.components(of: device), parts.first == "dev", parts.count > 1 else {
                throw RecordError("'\(device)' is no device: write a path below /dev")
            }
        }
        var targets = binds.map(\.target) + devices + links.map { "/" + $0.name }
        if temporaryBytes > 0 { targets.append("/tmp") }
        for (index, target) in targets.enumerated() {
            for other in targets[..<index]
            where target == other || (target + "/").hasPrefix(other + "/")
                || (other + "/").hasPrefix(target + "/")
            {
                throw RecordError("'\(target)' and '\(other)' lie within one another; bind the outer one only")
            }
        }
    }

    /// Without a mount namespace Landlock opens parts of the machine's own tree.
    private func validateReduced() throws(RecordError) {
        guard temporaryBytes == 0 else { throw RecordError("tier reduced has no root of its own, so no /tmp") }
        guard binds.allSatisfy({ $0.source == $0.target }) else {
            throw RecordError("tier reduced cannot show a path under another name")
        }
    }
}
