internal import Glibc
internal import LinuxSystem
internal import ModelNaming
internal import SandboxPolicy
internal import TerminalText

// The folders of models.
extension CatalogReader {
    /// The settings of a model decide which weights are served by which name, so they need the weights' protection.
    private static let demands: PathTrust.Demands = [.regular, .notEverybodyWrites, .trustedLinks]

    /// Adds what lies in the folders of models, and a definition for each of them that a backend serves.
    func takeModels(into catalog: inout BackendCatalog, before: BackendCatalog) {
        let serving = catalog.entries.values.filter { !$0.manifest.serves.isEmpty }.sorted { $0.name < $1.name }
        let formats = Set(serving.flatMap(\.manifest.serves))
        for folder in modelFolders {
            do throws(LinuxError) {
                let found = try ModelFolder.scan(folder, formats: formats, namesMax: limits.folderEntriesMax)
                catalog.unserved += found.unserved
                for path in Set(found.models.keys).union(before.models.keys.filter { isDirectly(in: folder, $0) })
                    .sorted()
                {
                    take(model: path, found, into: &catalog, before: before.models[path])
                }
            } catch {
                // The folder may come later; models that are served out of it stay.
                let reason =
                    error.code == ENOENT
                    ? "not there; make it, and put models or links to them into it"
                    : "no folder that can be read: \(error)"
                catalog.unserved.append(UnservedFile(path: folder, reason: reason))
                for (path, entry) in before.models where isDirectly(in: folder, path) { catalog.models[path] = entry }
            }
        }
        for path in lentModels where catalog.models[path] == nil {
            let found = ModelFolder.single(path, formats: formats)
            catalog.unserved += found.unserved
            take(model: path, found, into: &catalog, before: before.models[path])
        }
        serve(serving, into: &catalog)
    }

    private func isDirectly(in folder: String, _ path: String) -> Bool {
        path.hasPrefix(folder + "/") && !path.dropFirst(folder.count + 1).contains("/")
    }

    private func take(
        model path: String, _ found: ModelFolder, into catalog: inout BackendCatalog, before: ModelEntry?
    ) {
        let outcome = ModelEntry.merged(
            path, format: found.models[path], before: before,
            sidecar: sidecar(found.sidecars[ModelParts.stem(ofModelAt: path)], before), now: .now(),
            missingMilliseconds: limits.settledMilliseconds)
        switch outcome {
        case .inForce(let entry):
            catalog.models[path] = entry
            if entry.missingSince != nil { catalog.isSettling = true }
        case .unserved(let reason): catalog.unserved.append(UnservedFile(path: printable(path), reason: reason))
        case .nothing: if found.models[path] != nil { catalog.isSettling = true }
        }
    }

    private func sidecar(_ path: String?, _ before: ModelEntry?) -> BackendEntry.Finding<ModelEntry.ReadSidecar> {
        guard let path else { return .absent }
        do {
            let file = try PathTrust.open(path, Self.demands, O_RDONLY)
            let now = FileFacts.clockNanoseconds()
            let isKnown = before?.sidecarFacts == file.facts
            if let before, isKnown, before.templateFacts == nil, isCertain(file.facts, at: now) {
                return .usable(ModelEntry.ReadSidecar(facts: file.facts, sidecar: before.sidecar))
            }
            guard isSettled(file.facts, at: now) else { return .unsettled }
            var sidecar = try ModelSidecar.parse(
                try file.read(max: SandboxPolicyLimits.manifestBytesMax), file: path)
            guard let name = sidecar.settings.chatTemplateFile else {
                return .usable(ModelEntry.ReadSidecar(facts: file.facts, sidecar: sidecar))
            }
            let templatePath = "\(folder(of: path))/\(name)"
            let template = try PathTrust.open(templatePath, Self.demands, O_RDONLY)
            if let before, isKnown, before.templateFacts == template.facts, isCertain(template.facts, at: now) {
                return .usable(
                    ModelEntry.ReadSidecar(
                        facts: file.facts, templateFacts: template.facts, sidecar: before.sidecar))
            }
            guard isSettled(template.facts, at: now) else { return .unsettled }
            guard template.facts.byteCount <= UInt64(SandboxPolicyLimits.chatTemplateBytesMax) else {
                return .unreadable(
                    "\(printable(templatePath)) has \(template.facts.byteCount) bytes; a template has at most "
                        + "\(SandboxPolicyLimits.chatTemplateBytesMax)")
            }
            let bytes = try template.read(max: SandboxPolicyLimits.chatTemplateBytesMax)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                return .unreadable("\(printable(templatePath)) is no text in UTF-8")
            }
            if let flaw = BackendManifest.Model.flaw(ofTemplate: text) {
                return .unreadable("\(printable(templatePath)) \(flaw)")
            }
            sidecar.settings.chatTemplate = text
            return .usable(
                ModelEntry.ReadSidecar(facts: file.facts, templateFacts: template.facts, sidecar: sidecar))
        } catch {
            return .unreadable(printable("\(error)"))
        }
    }

    /// Whether no later write can have the same facts.
    private func isCertain(_ facts: FileFacts, at now: Int64) -> Bool {
        facts.wasQuiet(forMilliseconds: certainMilliseconds, at: now)
    }

    private func isSettled(_ facts: FileFacts, at now: Int64) -> Bool {
        facts.wasQuiet(forMilliseconds: limits.settledMilliseconds, at: now)
    }

    /// Gives each model to a backend that serves its format.
    private func serve(_ serving: [BackendEntry], into catalog: inout BackendCatalog) {
        var paths: [String: String] = [:]
        for definition in catalog.definitions { paths[definition.model.id] = "the manifest of \(definition.name)" }
        let order = modelFolders.enumerated().reduce(into: [:]) { $0[$1.element] = $1.offset }
        let models = catalog.models.values.map { ($0, order[folder(of: $0.path)] ?? .max) }
            .sorted { ($0.1, $0.0.path) < ($1.1, $1.0.path) }
        let adapters = adapterPaths(of: catalog.models.values)
        let shown = Set((adapters.union(draftPaths(of: catalog.models.values))).map { printable($0) })
        catalog.unserved.removeAll { shown.contains($0.path) }
        var count = 0
        for (model, _) in models where !adapters.contains(model.path) || !model.sidecar.settings.adapters.isEmpty {
            do throws(Refusal) {
                let backend = try backend(for: model, of: serving)
                var model = model
                if lentModels.contains(model.path) {
                    // The caller that lends the model is told its id.
                    let id = model.id
                    var number = 1
                    while paths[model.id] != nil {
                        number += 1
                        model.alias = "\(id)~\(number)"
                    }
                }
                if let other = paths[model.id] {
                    let stem = ModelParts.stem(ofModelAt: model.path)
                    let remedy =
                        ModelParts.stem(ofModelAt: other) == stem
                        ? "rename or remove one of them, because \(stem).json is for both"
                        : "give it another with \"id\" in \(stem).json"
                    throw Refusal("not served, because \(other) has the id '\(model.id)' already; \(remedy)")
                }
                guard model.id.utf8.count <= SandboxPolicyLimits.modelIDBytesMax else {
                    throw Refusal(
                        "not served, because its name is too long for an id; give it one with \"id\" in its settings")
                }
                guard count < limits.folderModelsMax else {
                    throw Refusal("not served: at most \(limits.folderModelsMax) models of folders are")
                }
                count += 1
                paths[model.id] = model.path
                catalog.definitions.append(
                    backend.definition(of: model, sequences: limits.folderModelSequences))
                catalog.notices[BackendCatalog.Key(name: backend.name, model: model.id)] = model.notice
            } catch {
                catalog.unserved.append(UnservedFile(path: printable(model.path), reason: error.reason))
            }
        }
    }

    /// The files that settings in force name as adapters: they are no models of their own.
    private func adapterPaths(of models: some Sequence<ModelEntry>) -> Set<String> {
        models.reduce(into: []) { paths, model in
            paths.formUnion(model.sidecar.settings.adapters.map { "\(folder(of: model.path))/\($0.file)" })
        }
    }

    /// The files that settings in force name as draft models. One with a model's ending is a model of its own, too.
    private func draftPaths(of models: some Sequence<ModelEntry>) -> Set<String> {
        Set(models.compactMap { model in model.sidecar.settings.draftFile.map { "\(folder(of: model.path))/\($0)" } })
    }

    private func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    private func backend(for model: ModelEntry, of serving: [BackendEntry]) throws(Refusal) -> BackendEntry {
        let able = serving.filter { $0.manifest.serves.contains(model.format) }
        let names = able.map(\.name).joined(separator: ", ")
        guard let wanted = model.sidecar.backend else {
            guard let first = able.first else {
                throw Refusal("not served, because no backend here serves .\(model.format) any more")
            }
            return first
        }
        guard let backend = able.first(where: { $0.name == wanted }) else {
            throw Refusal(
                "not served, because its settings name the backend '\(wanted)', and those that serve .\(model.format) are: "
                    + (names.isEmpty ? "none" : names))
        }
        return backend
    }

    private struct Refusal: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }
}
