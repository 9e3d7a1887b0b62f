internal import LinuxSystem
internal import SandboxPolicy
internal import StrictJSON

/// Gives a model another id: writes it into its settings, and leaves its file as it is.
package enum ModelRenaming {
    /// Writes `"id"` into the settings of the model at a path, which are made if there are none; all else in them stays.
    /// They are replaced as a whole. Throws for an id that cannot be one, for settings that are refused, and where the
    /// file cannot be written. Returns the path of the settings. Blocks.
    package static func rename(modelAt path: String, to id: String) throws -> String {
        let file = ModelParts.stem(ofModelAt: path) + ".json"
        let facts = try? FileFacts(following: file)
        var settings = JSONNode.emptyObject
        if facts != nil {
            let bytes = try FileBytes.read(file, max: SandboxPolicyLimits.manifestBytesMax)
            _ = try ModelSidecar.parse(bytes, file: file)
            settings = try JSONNode.parse(bytes, file: file)
        }
        let text = Array(settings.setting("id", to: id).text.utf8)
        // What is written must be understood, the id above all.
        _ = try ModelSidecar.parse(text, file: file)
        try FileBytes.replace(file, with: text, mode: facts.map { $0.permissions & 0o775 } ?? 0o644)
        return file
    }
}
