internal import LinuxSystem
internal import ModelNaming
internal import SandboxPolicy
internal import TerminalText

/// What one look at a folder of models found: its files as they are now, with no memory of what they were.
struct ModelFolder: Equatable, Sendable {
    /// The formats of the weights, by their path; of a model in parts, by the path of the first one.
    var models: [String: String] = [:]
    /// The paths of the settings, by the path of the weights that they are for without its ending.
    var sidecars: [String: String] = [:]
    var unserved: [UnservedFile] = []
    /// The numbers of the parts that were found, of models in parts.
    private var parts: [ModelParts: Set<Int>] = [:]

    /// Looks at the names in a folder; blocks. Throws where it cannot be read.
    /// - Parameter formats: the endings of the names of weights.
    static func scan(_ path: String, formats: Set<String>, namesMax: Int) throws(LinuxError) -> ModelFolder {
        var folder = ModelFolder()
        let names = try FolderNames.names(inFolder: path, limit: namesMax + 1)
        if names.count > namesMax {
            folder.unserved.append(
                UnservedFile(
                    path: printable(path),
                    reason:
                        "a folder with more than \(namesMax) entries, and only so many are looked at; keep models in "
                        + "it and nothing else, or give some a folder of their own (--models)"))
        }
        for name in names.prefix(namesMax).sorted() where !name.hasPrefix(".") {
            folder.take(name, in: path, formats: formats)
        }
        folder.takeParts(formats)
        let stems = Set(folder.models.keys.map { ModelParts.stem(ofModelAt: $0) })
        for (stem, file) in folder.sidecars where !stems.contains(stem) {
            let model = ModelParts.stem(ofModelAt: file)
            folder.unserved.append(
                UnservedFile(
                    path: file,
                    reason: model != stem && stems.contains(model)
                        ? "no settings of a model: those of a model in parts are \(model).json"
                        : "the settings of a model that does not lie beside it"))
        }
        folder.unserved.sort { $0.path < $1.path }
        return folder
    }

    /// One file alone, wherever it lies.
    static func single(_ path: String, formats: Set<String>) -> ModelFolder {
        var folder = ModelFolder()
        for path in ModelParts.paths(ofModelAt: path) {
            // A part that cannot be reached is told as a missing one.
            if ModelParts.part(at: path) != nil, (try? FileFacts(following: path)) == nil { continue }
            let slash = path.lastIndex(of: "/") ?? path.startIndex
            folder.take(String(path[path.index(after: slash)...]), in: String(path[..<slash]), formats: formats)
        }
        folder.takeParts(formats)
        // The file was named as a model: it is reported if it is none.
        if folder.models.isEmpty, folder.unserved.isEmpty { folder.refuse(path, formats) }
        folder.sidecars = [:]
        return folder
    }

    /// A path without what follows its last dot.
    static func stem(of path: String) -> String {
        guard let dot = path.lastIndex(of: "."), !path[dot...].contains("/") else { return path }
        return String(path[..<dot])
    }

    private mutating func take(_ name: String, in folder: String, formats: Set<String>) {
        let path = "\(folder)/\(name)"
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return refuse(path, formats) }
        let format = name[name.index(after: dot)...].lowercased()
        if format == "json" {
            sidecars[Self.stem(of: path)] = path
        } else if ModelName.unfinished.contains(format) {
            unserved.append(
                UnservedFile(
                    path: path, reason: "still on its way, as its name says; it is served once it has its own name"))
        } else if ModelName.companions.contains(format) || name.hasSuffix("~") {
            return
        } else if !formats.contains(format) {
            refuse(path, formats)
        } else if let (model, number) = ModelParts.part(at: path) {
            guard (1...model.count).contains(number) else {
                unserved.append(
                    UnservedFile(
                        path: printable(path),
                        reason: "no part of a model: its number is not among 1 to \(model.count); correct its name"))
                return
            }
            parts[model, default: []].insert(number)
        } else {
            models[path] = format
        }
    }

    /// Takes the models all of whose parts were found.
    private mutating func takeParts(_ formats: Set<String>) {
        for (model, found) in parts {
            let first = model.path(of: 1)
            if found.count == model.count, model.count <= ModelParts.countMax {
                models[first] = String(model.ending.dropFirst()).lowercased()
            } else {
                unserved.append(UnservedFile(path: printable(first), reason: printable(Self.flaw(of: model, found))))
            }
        }
        parts = [:]
    }

    /// Why a model in parts is not served, as the end of a sentence about its first part.
    private static func flaw(of model: ModelParts, _ found: Set<Int>) -> String {
        guard model.count <= ModelParts.countMax else {
            return "the first of \(model.count) parts of a model, and at most \(ModelParts.countMax) are served; join "
                + "them, with: llama-gguf-split --merge"
        }
        let missing = (1...model.count).filter { !found.contains($0) }
        let names = missing.prefix(3).map { number in
            let path = model.path(of: number)
            return String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...])
        }
        let more = missing.count > names.count ? " and \(missing.count - names.count) more" : ""
        return "the first of \(model.count) parts of a model, of which \(missing.count) are missing: "
            + "\(names.joined(separator: ", "))\(more); bring all parts into the folder"
    }

    private mutating func refuse(_ path: String, _ formats: Set<String>) {
        let remedy =
            switch (formats.isEmpty, (try? FileFacts(following: path))?.kind) {
            case (true, _): "install a backend whose manifest says what it \"serves\""
            case (_, .folder): "it is a folder; put models, or links to them, into the folder of models itself"
            default: "the backends here serve \(formats.sorted().map { ".\($0)" }.joined(separator: ", "))"
            }
        unserved.append(UnservedFile(path: printable(path), reason: "no model that could be served: \(remedy)"))
    }
}
