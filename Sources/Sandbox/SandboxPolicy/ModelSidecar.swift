internal import StrictJSON

/// A person's settings for a model of the folders of models, in `NAME.json` beside `NAME.gguf`. Every key is optional;
/// unknown ones are refused.
package struct ModelSidecar: Equatable, Sendable {
    /// The id that consumers name it by; nil: the id that its file's name gives.
    package var id: String?
    /// The backend that serves it, of those that serve its format; nil: the first by name.
    package var backend: String?
    /// Its other settings; their id and file are empty.
    package var settings = BackendManifest.Model(id: "")

    package init() {}

    private static let keys = ["id", "backend"] + BackendManifest.settingKeys

    /// Reads a sidecar from memory; `file` names it in errors. Throws with file and line.
    package static func parse(_ json: [UInt8], file: String) throws(SandboxPolicyError) -> ModelSidecar {
        let entry = try JSONObjectReader(
            JSONNode.parse(json, file: file), "the settings of a model", keys: keys, file: file)
        var sidecar = ModelSidecar()
        sidecar.id = try entry.string("id")
        if let id = sidecar.id { _ = try BackendManifest.id(entry, id) }
        sidecar.backend = try entry.string("backend")
        try sidecar.settings.takeSettings(entry)
        return sidecar
    }
}
