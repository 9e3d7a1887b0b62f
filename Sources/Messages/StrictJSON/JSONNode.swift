internal import LinuxSystem

/// A JSON text as a tree that remembers its lines, so that a refusal can say where (RFC 8259).
///
/// Strict: a key may occur once in an object, nothing follows the value, and depth and size are bounded. Common
/// mistakes (comments, a comma too many, a byte order mark) have an error of their own.
package struct JSONNode: Equatable, Sendable {
    package let line: Int
    package let value: Value

    package indirect enum Value: Equatable, Sendable {
        case null
        case bool(Bool)
        /// As written.
        case number(String)
        case string(String)
        case array([JSONNode])
        case object([Member])
    }

    package struct Member: Equatable, Sendable {
        package let key: String
        package let line: Int
        package let node: JSONNode
    }

    /// What kind of value it is, in words.
    package var kind: String {
        switch value {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The value in words, for a refusal: short, however long the value is.
    package var found: String {
        switch value {
        case .null: "null"
        case .bool(let flag): "\(flag)"
        case .number(let text): "the number \(JSONNode.shortened(text))"
        case .string(""): "an empty string"
        case .string(let text): "the string \"\(JSONNode.shortened(text))\""
        case .array(let elements): elements.isEmpty ? "an empty list" : "a list"
        case .object: "an object"
        }
    }

    private static func shortened(_ text: String) -> String {
        text.count > 64 ? text.prefix(64) + "…" : text
    }

    /// Reads a regular file of at most `JSONLimits.fileBytesMax` bytes.
    package static func read(file: String) throws(JSONError) -> JSONNode {
        let bytes: [UInt8]
        do throws(LinuxError) {
            bytes = try FileBytes.read(file, max: JSONLimits.fileBytesMax)
        } catch {
            throw JSONError(file: file, error.description, isTransient: error.isTransient)
        }
        return try parse(bytes, file: file)
    }

    package static func parse(
        _ bytes: [UInt8], file: String, nestingMax: Int = JSONLimits.nestingMax
    ) throws(JSONError) -> JSONNode {
        var parser = JSONParser(input: bytes, file: file, nestingMax: nestingMax)
        return try parser.document()
    }
}
