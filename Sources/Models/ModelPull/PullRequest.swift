package import StrictJSON

/// What `hearth-pull` is asked for: one JSON object on a line of its standard input.
package struct PullRequest: Equatable, Sendable {
    /// What a person wrote, as `PullSource` reads it; a path is absolute.
    package var source: String
    /// The SHA-256 that a person wrote beside it.
    package var sha256: String?
    /// The id that the model is to have; nil: the source gives it.
    package var id: String?
    /// The folder of models.
    package var folder: String

    /// The longest line that it is read from.
    package static let bytesMax = 16 << 10

    package init(source: String, sha256: String? = nil, id: String? = nil, folder: String) {
        self.source = source
        self.sha256 = sha256
        self.id = id
        self.folder = folder
    }

    package var json: String {
        JSONLine.object([
            ("source", .text(source)), ("sha256", sha256.map { .text($0) }), ("as", id.map { .text($0) }),
            ("folder", .text(folder)),
        ])
    }

    package init(json: [UInt8]) throws(JSONError) {
        let reader = try JSONObjectReader(
            JSONNode.parse(json, file: "the request"), "the request", keys: ["source", "sha256", "as", "folder"],
            file: "the request")
        source = try reader.required("source")
        sha256 = try reader.string("sha256")
        id = try reader.string("as")
        folder = try reader.required("folder")
    }
}

/// A JSON object on one line.
enum JSONLine {
    enum Value {
        case text(String)
        case number(UInt64)
    }

    /// Members without a value are left out.
    static func object(_ members: [(key: String, value: Value?)]) -> String {
        let written = members.compactMap { member -> String? in
            switch member.value {
            case nil: nil
            case .text(let text): "\"\(member.key)\":\(jsonString(text))"
            case .number(let number): "\"\(member.key)\":\(number)"
            }
        }
        return "{\(written.joined(separator: ","))}"
    }
}
