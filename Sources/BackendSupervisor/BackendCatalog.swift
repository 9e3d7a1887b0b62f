internal import SandboxPolicy

/// One process that is to run: an executable and one of its models.
struct BackendDefinition: Equatable, Sendable {
    let candidate: BackendFolder.Candidate
    let manifest: BackendManifest
    let model: BackendManifest.Model

    var name: String { candidate.name }
}

/// What a backends folder asks for: its executables, read together with their manifests.
struct BackendCatalog: Sendable {
    var folder = BackendFolder()
    /// Ordered by name, then as in the manifest.
    var definitions: [BackendDefinition] = []
    var ignored: [IgnoredFile] = []

    /// Looks at the folder, and reads the manifests if anything in it changed; blocks. Throws when the folder cannot be
    /// used.
    static func read(
        _ path: String, limits: SupervisorConfiguration.Limits, before: BackendCatalog
    ) throws -> BackendCatalog {
        let folder = try BackendFolder.scan(path, limits: limits)
        if folder == before.folder { return before }
        var catalog = BackendCatalog(folder: folder, ignored: folder.ignored)
        for candidate in folder.candidates {
            do {
                let manifest =
                    try candidate.manifestPath.map { try BackendManifest.load($0, executableName: candidate.name) }
                    ?? BackendManifest(executableName: candidate.name)
                for model in manifest.models {
                    catalog.definitions.append(
                        BackendDefinition(candidate: candidate, manifest: manifest, model: model))
                }
            } catch {
                catalog.ignored.append(IgnoredFile(name: candidate.name, reason: "its manifest is refused: \(error)"))
            }
        }
        let excess = catalog.definitions.count - limits.backendsMax
        if excess > 0 {
            catalog.definitions.removeLast(excess)
            catalog.ignored.append(
                IgnoredFile(name: "...", reason: "\(excess) more; at most \(limits.backendsMax) processes are run"))
        }
        // The weights that a manifest names lie here by right.
        let weights = Set(catalog.definitions.compactMap(\.model.file))
        catalog.ignored.removeAll { weights.contains($0.name) }
        catalog.ignored.sort { $0.name < $1.name }
        return catalog
    }
}
