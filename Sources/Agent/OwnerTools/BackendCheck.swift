internal import BackendDriver
internal import BackendSupervisor
package import ContractCheck
internal import Foundation
internal import Installation
package import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy
package import Settings

/// Starts a backend as the agent would, and tries the clauses of its contract on it.
///
/// It may have everything that its manifest asks for, whatever the owner of a machine would allow.
package struct BackendCheck: Sendable {
    /// The path of an executable, or of a folder of backends.
    package var path: String
    /// The weights to load, in place of those of the manifest's model.
    package var weights: String?
    /// The model of the manifest to load; nil: the first.
    package var model: String?
    package var prompt = "Tell me a story."
    /// The longest wait for an answer.
    package var seconds: UInt64 = 20
    package var tier = SandboxTier.full
    package var policies: String?
    package var threads: UInt32
    /// The user to become when this process is root.
    package var user: String?

    package init(path: String, threads: UInt32) {
        self.path = path
        self.threads = threads
    }

    package struct Report: Sendable {
        /// The executable's file name.
        package let name: String
        package let policy: String
        package let examination: Examination
        /// The most memory that one of the processes had; 0: unknown.
        package let memoryBytes: UInt64
        /// Lines that all processes wrote to their standard streams.
        package let outputLines: Int
    }

    /// Blocks. Throws when a backend cannot be started, or loads no model, and names the remedy.
    package func reports(executable hearth: String) throws(HostError) -> [Report] {
        try PrivilegeDrop.apply(user: user) { (_) throws(HostError) in }
        let policies = try InstalledParts.policies(asked: policies, executable: hearth)
        let sandbox = Sandbox(
            launcherPath: try InstalledParts.program("hearth-sandbox", executable: hearth),
            policiesDirectory: policies, tier: tier, host: .find(claimingControlGroups: false))
        do {
            return try backends().map { backend in
                do {
                    return try report(of: backend, in: sandbox)
                } catch {
                    throw HostError("\(backend.file): \(error)")
                }
            }
        } catch let error as HostError {
            throw error
        } catch {
            throw HostError("\(error)")
        }
    }

    private struct Place {
        let folder: String
        let name: String
        let file: String
    }

    private func backends() throws -> [Place] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            let named = try NamedProgram(path.contains("/") ? path : "./\(path)", path: "")
            return [Place(folder: named.folder, name: named.name, file: named.name)]
        }
        let folder = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let found = try TrialRun.Setup.backends(inFolder: folder)
        guard !found.isEmpty else { throw HostError("'\(path)' has no executable; name a backend or its folder") }
        return found.map { Place(folder: folder, name: $0.name, file: $0.file) }
    }

    private func report(of place: Place, in sandbox: Sandbox) throws -> Report {
        let manifest = try manifest(of: place)
        var owner = OwnerLimits(threads: threads)
        let memory = [manifest.memoryMebibytes, manifest.models.first?.memoryMebibytes].compactMap { $0 }
        owner.memoryMebibytes = max(owner.memoryMebibytes, memory.max() ?? 0)
        owner.devices = Set(manifest.devices)
        let folders = manifest.models.compactMap(\.file).filter { $0.hasPrefix("/") }
            .map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
        owner.readablePaths = manifest.readOnlyPaths + folders + (manifest.interpreter.map { [$0] } ?? [])
        let setup = TrialRun.Setup(
            sandbox: sandbox, folder: place.folder, name: place.file, manifest: manifest, owner: owner,
            policy: try SeccompPolicy.named(manifest.policy, in: sandbox.policiesDirectory), request: [])
        var processes: [ConfinedProcess] = []
        var candidate = Candidate(load: try setup.load()) { patience in
            let handles = try setup.launch()
            let process = try ConfinedProcess(handles)
            processes.append(process)
            return try BackendDriver(
                socket: try handles.socket.duplicate(), process: process, patienceMilliseconds: patience)
        }
        candidate.prompt = prompt
        candidate.patienceMilliseconds = seconds * 1_000
        candidate.loadMilliseconds = manifest.loadSeconds * 1_000
        let examination = try Examination(candidate)
        return Report(
            name: place.file, policy: manifest.policy, examination: examination,
            memoryBytes: processes.compactMap(\.memoryBytes).max() ?? 0,
            outputLines: processes.reduce(0) { $0 + $1.outputLines })
    }

    /// The manifest beside the executable, with the model that is asked for in front.
    private func manifest(of place: Place) throws -> BackendManifest {
        let path = "\(place.folder)/\(place.name).json"
        var manifest =
            FileManager.default.fileExists(atPath: path)
            ? try BackendManifest.load(path, executableName: place.name)
            : BackendManifest(executableName: place.name)
        if let model {
            guard let named = manifest.models.first(where: { $0.id == model }) else {
                let ids = manifest.models.map(\.id).joined(separator: ", ")
                throw HostError("there is no model '\(model)'; there are: \(ids.isEmpty ? "none" : ids)")
            }
            manifest.models = [named]
        }
        if let weights {
            var served = manifest.models.first ?? BackendManifest.Model(id: place.name)
            served.file = URL(fileURLWithPath: weights).resolvingSymlinksInPath().path
            manifest.models = [served]
        }
        guard !manifest.models.isEmpty else {
            throw HostError("it serves files of the folders of models; name one with --weights")
        }
        return manifest
    }
}
