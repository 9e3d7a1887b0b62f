internal import Glibc
package import LaunchPlan
internal import LinuxSystem
package import SandboxLaunch

extension SandboxAudit {
    private static let textBytesMax = 64 << 10

    /// Launches a sandbox, observes the process in it from outside, and checks that it ends with the lifeline. Throws
    /// when it cannot be launched, with the launcher's reason and remedy.
    package func observe(plan: LaunchPlan, sandbox: Sandbox) throws(AuditError) -> LayerObservation {
        var plan = plan
        plan.arguments.append("hang")
        plan.handedOnCount = 1
        var observation = LayerObservation()
        do {
            let launched = try launchLaidOpen(plan, sandbox)
            let said = try Poll.wait(
                launched.log.raw, for: .readable, nanoseconds: SandboxAudit.nanosecondsMax, interruption: interruption)
            guard !said.isEmpty else {
                throw AuditError("hearth-sandbox did not start a program within \(SandboxAudit.secondsMax) s")
            }
            let text = try Attempt.rest(of: launched.log)
            // The launcher's error is one line, too.
            guard text == "running\n" else {
                throw AuditError(text.trimmingSuffix("\n").isEmpty ? "hearth-sandbox ended" : text.trimmingSuffix("\n"))
            }
            if let process = SandboxAudit.innermost(of: launched.processID) {
                SandboxAudit.look(at: process, plan: plan, &observation)
            }
            let ending = try ProcessHandle(child: launched.processID)
            // The agent's end of the lifeline is closed with this value.
            _ = consume launched
            let ended = try Poll.wait(
                ending.raw, for: .readable, nanoseconds: SandboxAudit.nanosecondsMax, interruption: interruption)
            observation.note(.lifeline, !ended.isEmpty)
            ending.kill()
            _ = ending.waitForExit()
        } catch let error as AuditError {
            throw error
        } catch {
            throw AuditError("\(error)")
        }
        observation.seen.formIntersection(plan.layers)
        observation.contradicted.formIntersection(plan.layers)
        return observation
    }

    /// The last process in the chain of single children that starts with this process; nil when /proc does not show it.
    private static func innermost(of process: CInt) -> CInt? {
        let children = Dictionary(Descendants.parents().map { ($1, $0) }, uniquingKeysWith: { $1 })
        var last = process
        var steps = 0
        while let next = children[last], steps < 4 {
            last = next
            steps += 1
        }
        return last == process ? nil : last
    }

    private static func look(at process: CInt, plan: LaunchPlan, _ observation: inout LayerObservation) {
        let place = "/proc/\(process)"
        if let status = text("\(place)/status") { observation.note(status: status) }
        if let limits = text("\(place)/limits") { observation.note(limits: limits, plan: plan.limits) }
        for (layer, name) in [
            (SandboxLayers.userNamespace, "user"), (.processNamespace, "pid"), (.mountNamespace, "mnt"),
            (.networkNamespace, "net"), (.ipcNamespace, "ipc"), (.hostNameNamespace, "uts"),
            (.cgroupNamespace, "cgroup"),
        ] {
            let theirs = link("\(place)/ns/\(name)")
            let ours = link("/proc/self/ns/\(name)")
            observation.note(layer, theirs == nil || ours == nil ? nil : theirs != ours)
        }
        let root = try? FolderNames.names(inFolder: "\(place)/root", limit: 64)
        observation.note(.emptyRoot, root.map { $0.isEmpty })
        if let open = try? FolderNames.names(inFolder: "\(place)/fd", limit: 1024) {
            let last = GivenDescriptor.firstHandedOn + CInt(plan.handedOnCount)
            observation.note(
                .cleanDescriptors,
                open.compactMap { CInt($0) }.allSatisfy {
                    $0 <= GivenDescriptor.socket || (GivenDescriptor.firstHandedOn..<last).contains($0)
                })
        }
        observation.note(.cleanEnvironment, text("\(place)/environ").map { !$0.contains(Decoys.secret) })
    }

    private static func text(_ path: String) -> String? {
        guard let bytes = try? FileBytes.readPseudo(path, max: textBytesMax) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func link(_ path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: 256)
        let count = readlink(path, &bytes, bytes.count)
        return count < 0 ? nil : String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}
