internal import InferenceMessages
internal import StrictJSON

/// The conversation of Anthropic's protocol. Of a user's message, each result of a tool becomes a message of its own,
/// and so does the text between them. The texts of a message are joined as they are, which is what hearth.v1 says of
/// its own.
enum MessagesContent {
    static func read(_ request: RequestObject) throws(HTTPFailure) -> Hearth_V1_Messages {
        var messages = Hearth_V1_Messages()
        let system = try system(request)
        if !system.isEmpty { messages.messages.append(message(.system, system)) }
        guard let entries = try request.list("messages") else { throw request.failure("messages", "is missing") }
        for (index, entry) in entries.enumerated() {
            let reader = try RequestObject(entry, at: "messages[\(index)]", known: ["content", "role"])
            switch try reader.required("role") {
            case "user": messages.messages += try user(reader)
            case "assistant": messages.messages.append(try assistant(reader))
            case "system":
                let text = texts(try blocks(reader, [.text]) ?? [])
                messages.messages.append(message(.system, text))
            default: throw reader.failure("role", "must be user, assistant or system")
            }
        }
        return messages
    }

    /// What Claude Code puts first. It changes with each request, and what stands before a conversation must not: none
    /// of it would be found computed.
    private static let billingHeader = "x-anthropic-billing-header"

    private static func system(_ request: RequestObject) throws(HTTPFailure) -> String {
        var system = ""
        for case .text(let text) in try blocks(request, key: "system", [.text]) ?? [] {
            let lineEnd = text.firstIndex(of: "\n").map { text.index(after: $0) } ?? text.endIndex
            system += text.hasPrefix(billingHeader) ? text[lineEnd...] : text[...]
        }
        return system
    }

    private static func user(_ reader: RequestObject) throws(HTTPFailure) -> [Hearth_V1_Message] {
        guard let blocks = try blocks(reader, [.text, .toolResult]) else {
            throw reader.failure("content", "is missing")
        }
        var messages: [Hearth_V1_Message] = []
        for block in blocks {
            switch block {
            case .text(let text):
                if messages.last?.role != .user { messages.append(message(.user, "")) }
                messages[messages.count - 1].content += text
            case .result(let id, let text):
                messages.append(message(.tool, text))
                messages[messages.count - 1].toolCallID = id
            // None of a user.
            case .call, .thinking: break
            }
        }
        guard !messages.isEmpty else { throw reader.failure("content", "must have a block") }
        return messages
    }

    private static func assistant(_ reader: RequestObject) throws(HTTPFailure) -> Hearth_V1_Message {
        var message = message(.assistant, "")
        for block in try blocks(reader, [.text, .thinking, .redactedThinking, .toolUse]) ?? [] {
            switch block {
            case .text(let text): message.content += text
            case .thinking(let text): message.reasoning += text
            case .call(let call): message.toolCalls.append(call)
            // None of a model.
            case .result: break
            }
        }
        return message
    }

    private static func message(_ role: Hearth_V1_Role, _ content: String) -> Hearth_V1_Message {
        var message = Hearth_V1_Message()
        message.role = role
        message.content = content
        return message
    }
}

// Blocks.
extension MessagesContent {
    private enum Block {
        case text(String)
        case thinking(String)
        case call(Hearth_V1_ToolCall)
        /// The result of the call with this id.
        case result(String, String)
    }

    private enum Kind: String {
        case text, thinking
        case redactedThinking = "redacted_thinking"
        case toolUse = "tool_use"
        case toolResult = "tool_result"

        var known: Set<String> {
            switch self {
            case .text: ["text", "type"]
            case .thinking: ["thinking", "type"]
            case .redactedThinking: ["type"]
            case .toolUse: ["id", "input", "name", "type"]
            case .toolResult: ["content", "is_error", "tool_use_id", "type"]
            }
        }

        /// What a client sends back of an answer, and what says nothing to a model.
        var withoutEffect: Set<String> {
            switch self {
            case .text: ["cache_control", "citations"]
            case .thinking: ["cache_control", "signature"]
            case .redactedThinking: ["cache_control", "data"]
            case .toolUse: ["cache_control", "caller"]
            case .toolResult: ["cache_control"]
            }
        }
    }

    /// The blocks of a text or of a list; nil where there is neither.
    private static func blocks(
        _ reader: RequestObject, key: String = "content", _ allowed: [Kind]
    ) throws(HTTPFailure) -> [Block]? {
        guard let content = reader.node(key) else { return nil }
        switch content.value {
        case .string(let text): return [.text(text)]
        case .array(let nodes):
            var blocks: [Block] = []
            for (index, node) in nodes.enumerated() {
                blocks += try block(node, at: "\(reader.place(key))[\(index)]", allowed)
            }
            return blocks
        default: throw reader.failure(key, "must be a string or a list of blocks, not \(content.found)")
        }
    }

    /// One block, or none where it says nothing to a model.
    private static func block(_ node: JSONNode, at path: String, _ allowed: [Kind]) throws(HTTPFailure) -> [Block] {
        let type = try RequestObject.member("type", of: node, at: path)
        guard case .string(let name)? = type?.value, let kind = Kind(rawValue: name), allowed.contains(kind) else {
            let names = allowed.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
            throw .invalid(
                "\(path).type", "'\(path).type' must be \(names), not \(type?.found ?? "left out"): messages are text",
                code: "unsupported_parameter")
        }
        let reader = try RequestObject(node, at: path, known: kind.known, withoutEffect: kind.withoutEffect)
        switch kind {
        case .text: return [.text(try reader.required("text"))]
        case .thinking: return [.thinking(try reader.required("thinking"))]
        // Only those who wrote it can read it.
        case .redactedThinking: return []
        case .toolUse:
            var call = Hearth_V1_ToolCall()
            call.id = try reader.required("id")
            call.name = try reader.required("name")
            guard let input = try reader.objectText("input") else { throw reader.failure("input", "is missing") }
            call.arguments = input
            return [.call(call)]
        case .toolResult:
            // hearth.v1 has no mark for a call that failed, so that the model is told in words.
            let start = try reader.bool("is_error") == true ? "Error: " : ""
            let text = texts(try blocks(reader, [.text]) ?? [])
            return [.result(try reader.required("tool_use_id"), start + text)]
        }
    }

    private static func texts(_ blocks: [Block]) -> String {
        var texts = ""
        for case .text(let text) in blocks { texts += text }
        return texts
    }
}

extension RequestObject {
    /// A member of an object whose other members depend on it; nil where it is left out or null.
    static func member(_ key: String, of node: JSONNode, at path: String) throws(HTTPFailure) -> JSONNode? {
        guard case .object(let members) = node.value else {
            throw .invalid(path, "\(path) must be an object, not \(node.kind)")
        }
        return members.first { $0.key == key && $0.node.value != .null }?.node
    }
}
