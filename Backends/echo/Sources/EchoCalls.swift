import BackendKit
import EchoTokens

/// The tool calls that echo makes, a function of the request: each tool whose name is a word of the last message, in the order
/// of the request's tools, one only where it may not call several; where it has to call one and none is named, the
/// first, or the one that the request requires. The arguments are `{"text":"..."}` with the beginning of the last message.
struct EchoCalls {
    /// A token of a call is this much of its arguments; its first token is the name alone.
    static let bytesPerToken = 8
    /// So much of the last message is in the arguments.
    static let textBytesMax = 256

    /// What each token brings.
    let parts: [ToolCallPart]

    init(_ request: GenerateRequest, _ prompt: EchoPrompt) {
        guard let use = request.tools, case .messages(let messages) = request.prompt, let last = messages.last else {
            parts = []
            return
        }
        let arguments = #"{"text":\#(Self.quoted(last.content))}"#
        parts = Self.names(use, in: last.content).enumerated().flatMap { index, name in
            [ToolCallPart(index: index, id: Self.id(index, prompt), name: name, arguments: "")]
                + Self.pieces(arguments).map { ToolCallPart(index: index, arguments: $0) }
        }
    }

    private static func names(_ use: GenerateRequest.Tools, in text: String) -> [String] {
        let words = Set(text.split(whereSeparator: \.isWhitespace).map(String.init))
        let named = use.tools.map(\.name).filter(words.contains)
        switch use.choice {
        case .none: return []
        case .auto: return use.parallelCalls == false ? Array(named.prefix(1)) : named
        case .required(let name?): return [name]
        case .required(nil):
            if named.isEmpty { return use.tools.prefix(1).map(\.name) }
            return use.parallelCalls == false ? Array(named.prefix(1)) : named
        }
    }

    private static func id(_ index: Int, _ prompt: EchoPrompt) -> String {
        let number = (prompt.digest &+ UInt64(index)) % 101_559_956_668_416
        let digits = String(number, radix: 36)
        return String(repeating: "0", count: 9 - digits.count) + digits
    }

    /// A JSON string with the beginning of a text.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if quoted.utf8.count >= textBytesMax { break }
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{0}"..."\u{1f}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    private static func pieces(_ text: String) -> [String] {
        var pieces = [""]
        for scalar in text.unicodeScalars {
            if pieces[pieces.count - 1].utf8.count >= bytesPerToken { pieces.append("") }
            pieces[pieces.count - 1].unicodeScalars.append(scalar)
        }
        return pieces
    }
}
