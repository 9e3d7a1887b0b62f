internal import InferenceMessages
internal import StrictJSON

/// The messages of OpenAI's chat completions.
enum ChatMessages {
    private static let known: Set<String> = [
        "content", "name", "reasoning", "reasoning_content", "role", "tool_call_id", "tool_calls",
    ]
    /// What clients send back of an answer, and what says nothing to a model.
    private static let withoutEffect: Set<String> = ["annotations", "cache_control"]
    private static let refused: [String: String] = [
        "function_call": "use 'tool_calls'", "audio": "messages are text", "refusal": "put it into 'content'",
    ]

    static func read(_ request: RequestObject) throws(HTTPFailure) -> Hearth_V1_Messages {
        guard let entries = try request.list("messages") else { throw request.failure("messages", "is missing") }
        var messages = Hearth_V1_Messages()
        for (index, entry) in entries.enumerated() {
            let reader = try RequestObject(
                entry, at: "messages[\(index)]", known: known, withoutEffect: withoutEffect, refused: refused)
            messages.messages.append(try message(reader))
        }
        return messages
    }

    private static func message(_ reader: RequestObject) throws(HTTPFailure) -> Hearth_V1_Message {
        var message = Hearth_V1_Message()
        switch try reader.required("role") {
        case "system", "developer": message.role = .system
        case "user": message.role = .user
        case "assistant": message.role = .assistant
        case "tool": message.role = .tool
        default: throw reader.failure("role", "must be system, developer, user, assistant or tool")
        }
        message.name = try reader.string("name") ?? ""
        message.toolCallID = try reader.string("tool_call_id") ?? ""
        let reasoning = try (reader.string("reasoning_content"), reader.string("reasoning"))
        message.reasoning = reasoning.0 ?? reasoning.1 ?? ""
        message.toolCalls = try calls(reader)
        if let content = reader.node("content") {
            message.content = try text(content, reader)
        } else if message.role != .assistant || message.toolCalls.isEmpty && message.reasoning.isEmpty {
            throw reader.failure("content", "is missing")
        }
        return message
    }

    /// The texts of a message's parts are joined as they are, which is what hearth.v1 says of its own.
    private static func text(_ content: JSONNode, _ reader: RequestObject) throws(HTTPFailure) -> String {
        switch content.value {
        case .string(let text): return text
        case .array(let parts):
            var texts = ""
            for (index, node) in parts.enumerated() {
                let path = "\(reader.place("content"))[\(index)]"
                let part = try RequestObject(
                    node, at: path, known: ["text", "type"],
                    withoutEffect: ["cache_control", "prompt_cache_breakpoint"],
                    refused: [
                        "image_url": "messages are text", "input_audio": "messages are text",
                        "file": "messages are text", "refusal": "send it as text",
                    ])
                guard try part.required("type") == "text" else {
                    throw part.failure("type", "must be \"text\": messages are text")
                }
                texts += try part.required("text")
            }
            return texts
        default: throw reader.failure("content", "must be a string or a list of parts, not \(content.found)")
        }
    }

    private static func calls(_ reader: RequestObject) throws(HTTPFailure) -> [Hearth_V1_ToolCall] {
        var calls: [Hearth_V1_ToolCall] = []
        for (index, node) in try (reader.list("tool_calls") ?? []).enumerated() {
            let path = "\(reader.place("tool_calls"))[\(index)]"
            // Clients send back the index that they were given.
            let entry = try RequestObject(
                node, at: path, known: ["function", "id", "type"], withoutEffect: ["index"])
            if let type = try entry.string("type"), type != "function" {
                throw entry.failure("type", "must be \"function\"")
            }
            guard let function = try entry.object("function", known: ["arguments", "name"]) else {
                throw entry.failure("function", "is missing")
            }
            var call = Hearth_V1_ToolCall()
            call.id = try entry.required("id")
            call.name = try function.required("name")
            call.arguments = try function.required("arguments")
            calls.append(call)
        }
        return calls
    }
}
