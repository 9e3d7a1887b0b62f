internal import Glibc
package import LaunchPlan
internal import LinuxSystem
package import SandboxLaunch
internal import SandboxPolicy

/// Tries what a hostile backend could try, outside and inside the sandbox, with a real launcher and a real policy.
///
/// Every attempt is a process of its own with `secondsMax` to live. Blocks its caller; used by one thread.
package struct SandboxAudit: ~Copyable {
    /// How long one attempt may take.
    package static let secondsMax: UInt64 = 5
    static let nanosecondsMax = secondsMax * 1_000_000_000
    /// The memory of a sandboxed probe: less than half of what its memory bombs must reach to count as done.
    package static let memoryMebibytes: UInt64 = 64
    private static let outputBytesMax = 4096

    /// Every act of the probe, in its order.
    package let probes: [Probe]
    private let executable: BackendExecutable
    private let decoys: Decoys
    let interruption: CInt?

    /// - Parameters:
    ///   - probePath: the absolute path of `sandbox-probe`, which is held to what is demanded of backends.
    ///   - folder: the absolute path of an empty folder of this user, where what is attacked is put. The caller removes
    ///     it afterwards.
    ///   - interruption: a descriptor, borrowed for as long as the audit lasts: once it can be read, what runs is ended, and
    ///     what waits for it throws.
    package init(probePath: String, folder: String, interruption: CInt? = nil) throws(AuditError) {
        let probes = try SandboxAudit.list(probePath)
        let decoys = try Decoys(probePath: probePath, folder: folder, interruption: interruption)
        self.init(
            executable: try SandboxAudit.executable(probePath), probes: probes, decoys: decoys,
            interruption: interruption)
    }

    private init(executable: consuming BackendExecutable, probes: [Probe], decoys: Decoys, interruption: CInt?) {
        self.executable = executable
        self.interruption = interruption
        self.probes = probes
        self.decoys = decoys
    }

    private static func executable(_ path: String) throws(AuditError) -> BackendExecutable {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        do throws(SandboxError) {
            return try BackendExecutable.open(
                folder: String(path[..<slash]), name: String(path[slash...].drop { $0 == "/" }))
        } catch {
            throw AuditError(error.description)
        }
    }

    private static func list(_ probePath: String) throws(AuditError) -> [Probe] {
        do throws(LinuxError) {
            let attempt = try Attempt.run(probePath, ["sandbox-probe", "list"], seconds: secondsMax)
            let probes = Probe.list(attempt.text)
            guard !probes.isEmpty else { throw LinuxError(code: ENOEXEC, operation: "learn what it tries") }
            return probes
        } catch {
            throw AuditError("\(probePath): \(error)")
        }
    }

    /// The launch plan that a backend with this policy would have.
    package func plan(policy: String, sandbox: Sandbox) throws(AuditError) -> LaunchPlan {
        var manifest = BackendManifest(executableName: executable.name)
        manifest.policy = policy
        manifest.memoryMebibytes = SandboxAudit.memoryMebibytes
        manifest.threads = 1
        do throws(SandboxError) {
            return try sandbox.plan(executable: executable, manifest: manifest, owner: OwnerLimits(threads: 1))
        } catch {
            throw AuditError(error.description)
        }
    }

    /// Tries the probe as an ordinary child of this process.
    package func tryOutside(_ probe: Probe) throws(AuditError) -> ProbeOutcome {
        let attempt: Attempt
        do throws(LinuxError) {
            let sockets = try Descriptor.socketPair()
            try decoys.sendSecret(over: sockets.first.raw)
            // The descriptors of the streams and the socket come first, as a backend has them.
            attempt = try Attempt.run(
                executable.path, ["sandbox-probe", "act", probe.name] + decoys.words(descriptorsFrom: 4),
                environment: Decoys.environment,
                descriptors: [sockets.second.raw, decoys.model.raw] + decoys.leakedDescriptors,
                seconds: SandboxAudit.secondsMax, interruption: interruption)
        } catch {
            throw AuditError("\(probe.name), outside: \(error)")
        }
        // The status is not the probe's own, but another program's: on this machine the act cannot be judged.
        return attempt.outcome(of: probe) ?? .refused(attempt.status.map { "\($0)" } ?? "no answer")
    }

    /// Tries the probe in a sandbox. Throws when that cannot be launched, with the launcher's reason and remedy.
    package func tryInside(
        _ probe: Probe, plan: LaunchPlan, sandbox: Sandbox
    ) throws(AuditError) -> ProbeOutcome {
        var plan = plan
        plan.arguments += ["act", probe.name] + decoys.words(descriptorsFrom: GivenDescriptor.firstHandedOn)
        let attempt: Attempt
        let told: KeeperConversation
        do {
            let launched = try launchLaidOpen(plan, sandbox)
            // Failure means that the probe has ended already, and does not need it.
            try? decoys.sendSecret(over: launched.socket.raw)
            attempt = try Attempt(
                launched.process, output: launched.log, seconds: SandboxAudit.secondsMax, interruption: interruption)
            told = try launched.hearToEnd()
        } catch {
            throw AuditError("\(probe.name), inside: \(error)")
        }
        if told.failure != nil { throw AuditError(attempt.text) }
        // Only a process in the sandbox can have killed the launcher.
        if case .signalled = attempt.status { return .done }
        if case .signalled(let signal) = told.end { return .ended(signal: signal) }
        if let outcome = attempt.outcome(of: probe) { return outcome }
        // The probe does not give this status: it became another program.
        return .done
    }

    /// Launches the probe with the weights handed over, and with secrets in the launcher's environment and descriptors:
    /// the layers that withhold these are tried, not the agent's care.
    func launchLaidOpen(_ plan: LaunchPlan, _ sandbox: Sandbox) throws(SandboxError) -> SandboxedProcess {
        var sandbox = sandbox
        sandbox.laidOpen = .init(environment: Decoys.environment, descriptors: decoys.leakedDescriptors)
        return try sandbox.launch(executable: executable, plan: plan, handOver: [decoys.model.raw])
    }
}
