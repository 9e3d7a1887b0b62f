internal import StrictJSON

/// A low-rank adapter (LoRA) that a model's settings name: requests choose it by its name.
package struct ModelAdapter: Equatable, Sendable {
    /// The most adapters of one model, and of one request.
    package static let countMax = 16
    package static let nameBytesMax = 64

    package let name: String
    /// The name of its file, which lies beside the model.
    package let file: String
    /// How strongly it is applied where a request does not say.
    package var scale: Float = 1
    /// Whether it is applied to requests that name no adapters.
    package var isDefault = false

    package init(name: String, file: String, scale: Float = 1, isDefault: Bool = false) {
        self.name = name
        self.file = file
        self.scale = scale
        self.isDefault = isDefault
    }

    /// Whether a text can be the name of an adapter: letters, digits, '.', '_' and '-' of ASCII.
    package static func isName(_ text: String) -> Bool {
        (1...nameBytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    /// Reads the value of "adapters", an object of adapters by their names. Returns them in the order of their names.
    static func all(_ entry: JSONObjectReader) throws(SandboxPolicyError) -> [ModelAdapter] {
        guard let node = entry.node("adapters") else { return [] }
        guard case .object(let members) = node.value, members.count <= countMax else {
            throw entry.failure(
                "adapters",
                "must be an object of at most \(countMax) adapters, such as {\"NAME\": {\"file\": \"x.gguf\"}}")
        }
        var adapters: [ModelAdapter] = []
        for member in members {
            guard isName(member.key) else {
                throw SandboxPolicyError(
                    file: entry.file, line: member.line,
                    "the name '\(member.key)' of an adapter must have 1 to \(nameBytesMax) letters, digits, '.', '_' and '-'"
                )
            }
            adapters.append(try ModelAdapter(member.key, member.node, file: entry.file))
        }
        return adapters.sorted { $0.name < $1.name }
    }

    private init(_ name: String, _ node: JSONNode, file: String) throws(SandboxPolicyError) {
        let entry = try JSONObjectReader(
            node, "the adapter \"\(name)\"", keys: ["file", "scale", "default"], file: file)
        self.init(name: name, file: try entry.required("file"))
        guard BackendManifest.Model.isNameOfFile(self.file) else {
            throw entry.failure("file", "must be the name of a file beside the model, without a folder")
        }
        if let node = entry.node("scale") {
            guard case .number(let text) = node.value, let value = Float(text),
                SamplingRange.adapterScale.contains(value)
            else { throw entry.failure("scale", "must be a number, \(SamplingRange.adapterScale), not \(node.found)") }
            scale = value
        }
        isDefault = try entry.bool("default") ?? false
    }
}
