internal import BaseEncodings
internal import StrictJSON

/// A person's settings for a model of the folders of models, in `NAME.json` beside `NAME.gguf`. Every key is optional;
/// unknown ones are refused.
package struct ModelSidecar: Equatable, Sendable {
    /// The id that consumers name it by; nil: the id that its file's name gives.
    package var id: String?
    /// The backend that serves it, of those that serve its format; nil: the first by name.
    package var backend: String?
    /// The SHA-256 that the weights must have to be served, 32 bytes; nil: any weights are served.
    package var digest: [UInt8]?
    /// Its other settings; their id and file are empty.
    package var settings = BackendManifest.Model(id: "")

    package init() {}

    private static let keys = ["id", "backend", "sha256"] + BackendManifest.settingKeys

    /// Reads a sidecar from memory; `file` names it in errors. Throws with file and line.
    package static func parse(_ json: [UInt8], file: String) throws(SandboxPolicyError) -> ModelSidecar {
        let entry = try JSONObjectReader(
            JSONNode.parse(json, file: file), "the settings of a model", keys: keys, file: file)
        var sidecar = ModelSidecar()
        sidecar.id = try entry.string("id")
        if let id = sidecar.id { _ = try BackendManifest.id(entry, id) }
        sidecar.backend = try entry.string("backend")
        if let text = try entry.string("sha256") {
            guard let digest = fromHexadecimal(text.utf8), digest.count == 32 else {
                throw entry.failure("sha256", "must be the 64 hexadecimal digits of a SHA-256")
            }
            sidecar.digest = digest
        }
        try sidecar.settings.takeSettings(entry)
        return sidecar
    }
}
