import Foundation
import TestPlaces

/// The demo model with something in its metadata changed, as a file that goes when this does.
final class ChangedModel {
    private let folder = TemporaryFolder()
    let path: String
    private static let original = Array((try? Data(contentsOf: URL(filePath: Repository.demoModel))) ?? Data())

    /// GGUF's numbers of types, as far as they are needed here.
    private enum Kind: UInt32 {
        case uint32 = 4
        case float32 = 6
        case string = 8
    }

    init(_ change: (inout [UInt8]) -> Void) throws {
        path = folder.file("changed.gguf")
        var bytes = Self.original
        change(&bytes)
        try Data(bytes).write(to: URL(filePath: path))
    }

    /// A model whose vocabulary names another pre-tokenizer, with room for long prompts.
    convenience init(preTokenizer: String) throws {
        try self.init { bytes in
            Self.set("llama.context_length", to: UInt32(32_768), in: &bytes)
            let difference = preTokenizer.utf8.count - Self.string("tokenizer.ggml.pre", in: bytes).utf8.count
            Self.set("tokenizer.ggml.pre", to: preTokenizer, in: &bytes)
            // Tensors lie where they lay: what one text gains another loses.
            let description = Self.string("general.description", in: bytes)
            let padded =
                difference > 0
                ? String(description.dropLast(difference)) : description + String(repeating: " ", count: -difference)
            Self.set("general.description", to: padded, in: &bytes)
        }
    }

    /// How a vocabulary splits text.
    enum Vocabulary {
        case bytePairs
        /// A space stands before each text that follows a special token.
        case sentencePiece
    }

    /// A model with another chat template.
    convenience init(
        chatTemplate: String, _ vocabulary: Vocabulary = .bytePairs, addsFirstToken: Bool = false,
        change: (inout [UInt8]) -> Void = { _ in }
    ) throws {
        try self.init { bytes in
            let original = bytes.count
            change(&bytes)
            if vocabulary == .sentencePiece {
                Self.set("tokenizer.ggml.model", to: "llama", in: &bytes)
                for (symbol, name) in [("Ġ", "▁"), ("Ċ", "\n")] {
                    Self.replace(Self.counted(symbol), with: Self.counted(name), in: &bytes)
                }
            }
            if addsFirstToken {
                let key = Self.counted("tokenizer.ggml.add_bos_token") + [7, 0, 0, 0]
                Self.replace(key + [0], with: key + [1], in: &bytes)
            }
            Self.set("tokenizer.chat_template", to: chatTemplate, in: &bytes)
            // Tensors begin at a multiple of 32 bytes, wherever that is.
            let padding = String(repeating: " ", count: ((original - bytes.count) % 32 + 32) % 32)
            Self.set(
                "general.description", to: Self.string("general.description", in: bytes) + padding, in: &bytes)
        }
    }

    static func set(_ key: String, to value: UInt32, in bytes: inout [UInt8]) {
        let place = place(of: key, .uint32, in: bytes)
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(place..<place + 4, with: $0) }
    }

    static func set(_ key: String, to value: Float, in bytes: inout [UInt8]) {
        let place = place(of: key, .float32, in: bytes)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.replaceSubrange(place..<place + 4, with: $0) }
    }

    static func set(_ key: String, to value: String, in bytes: inout [UInt8]) {
        let place = place(of: key, .string, in: bytes)
        let length = string(key, in: bytes).utf8.count
        bytes.replaceSubrange(place..<place + 8 + length, with: counted(value))
    }

    static func string(_ key: String, in bytes: [UInt8]) -> String {
        let place = place(of: key, .string, in: bytes)
        let length = bytes[place..<place + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
        return String(decoding: bytes[place + 8..<place + 8 + length], as: UTF8.self)
    }

    /// What llama.cpp calls the type of a token.
    enum TokenType: UInt8 {
        case userDefined = 4
    }

    static func set(type: TokenType, ofToken id: Int, in bytes: inout [UInt8]) {
        let key = counted("tokenizer.ggml.token_type")
        guard let range = Data(bytes.prefix(100_000)).range(of: Data(key)) else {
            preconditionFailure("the demo model has no types of tokens")
        }
        // An array (9) of 32-bit integers (5), and how many there are.
        bytes[range.upperBound + 4 + 4 + 8 + 4 * id] = type.rawValue
    }

    static func replace(_ part: [UInt8], with replacement: [UInt8], in bytes: inout [UInt8]) {
        guard let range = Data(bytes.prefix(100_000)).range(of: Data(part)) else {
            preconditionFailure("the demo model does not hold \(part)")
        }
        bytes.replaceSubrange(range, with: replacement)
    }

    /// A text as GGUF has it: its length, 8 bytes little-endian, and its bytes.
    static func counted(_ text: String) -> [UInt8] {
        withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Array($0) } + Array(text.utf8)
    }

    /// Where the value of a key begins, behind the key and its type.
    private static func place(of key: String, _ kind: Kind, in bytes: [UInt8]) -> Int {
        let opening = counted(key) + withUnsafeBytes(of: kind.rawValue.littleEndian) { Array($0) }
        guard let range = Data(bytes.prefix(100_000)).range(of: Data(opening)) else {
            preconditionFailure("the demo model has no \(key)")
        }
        return range.upperBound
    }
}
