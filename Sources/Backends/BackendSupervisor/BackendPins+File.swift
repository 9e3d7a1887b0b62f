internal import BaseEncodings
internal import StrictJSON

// The file:
//
//     {"backends": [
//       {"name": "echo", "executable": "9f86…", "manifest": "60303…", "policy": "ba78…"}
//     ]}
extension BackendPins {
    /// Throws with file and line for what is not understood.
    init(_ bytes: [UInt8], file: String) throws(JSONError) {
        let top = try JSONObjectReader(
            JSONNode.parse(bytes, file: file), "the file", keys: ["backends"], file: file)
        guard let entries = try top.array("backends", max: Self.countMax) else {
            throw top.failure("backends", "is missing")
        }
        var all: [String: Files] = [:]
        for node in entries {
            let keys = ["name"] + Part.allCases.map(\.rawValue)
            let entry = try JSONObjectReader(node, "a backend", keys: keys, file: file)
            let name = try entry.required("name")
            guard all[name] == nil else { throw entry.failure("name", "stands twice: \"\(name.prefix(64))\"") }
            var files = Files(executable: nil, manifest: nil, policy: nil)
            for part in Part.allCases {
                guard let text = try entry.string(part.rawValue) else { continue }
                guard let digest = fromHexadecimal(text.utf8), digest.count == 32 else {
                    throw entry.failure(part.rawValue, "must be the 64 hexadecimal digits of a SHA-256")
                }
                files[part] = digest
            }
            // Without them anything would be as it was pinned.
            for part in [Part.executable, .policy] where files[part] == nil {
                throw entry.failure(part.rawValue, "is missing")
            }
            all[name] = files
        }
        self.init(all)
    }

    /// Names are letters, digits, '.', '_' and '-' (`BackendFolder`), so none needs an escape.
    var encoded: String {
        let entries = all.sorted { $0.key < $1.key }.map { name, files in
            let parts = Part.allCases.compactMap { part in
                files[part].map { "\"\(part.rawValue)\": \"\(hexadecimal($0))\"" }
            }
            return "  {\"name\": \"\(name)\", " + parts.joined(separator: ", ") + "}"
        }
        return "{\"backends\": [\n" + entries.joined(separator: ",\n") + "\n]}\n"
    }
}
