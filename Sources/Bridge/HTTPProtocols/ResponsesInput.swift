internal import InferenceMessages
internal import StrictJSON

/// The input of OpenAI's Responses: instructions, and items. What the model wrote in one turn is several items, and one
/// message of hearth.v1.
enum ResponsesInput {
    static func read(_ request: RequestObject) throws(HTTPFailure) -> Hearth_V1_Messages {
        var messages = Hearth_V1_Messages()
        if let text = try request.string("instructions"), !text.isEmpty { messages.append(.system, text) }
        switch request.node("input")?.value {
        case nil: throw request.failure("input", "is missing")
        case .string(let text): messages.append(.user, text)
        case .array(let items):
            for (index, item) in items.enumerated() { try messages.append(item, at: "input[\(index)]") }
        case _?: throw request.failure("input", "must be a string or a list of items")
        }
        return messages
    }
}

extension Hearth_V1_Messages {
    fileprivate mutating func append(_ role: Hearth_V1_Role, _ content: String) {
        var message = Hearth_V1_Message()
        message.role = role
        message.content = content
        messages.append(message)
    }

    fileprivate mutating func append(_ item: JSONNode, at path: String) throws(HTTPFailure) {
        switch item.typeMember?.value {
        case .string("message"), .null, nil: try appendMessage(item, at: path)
        case .string("reasoning"): try appendReasoning(item, at: path)
        case .string("function_call"): try appendCall(item, at: path)
        case .string("function_call_output"):
            let output = try RequestObject(
                item, at: path, known: ["call_id", "output", "type"], withoutEffect: ["id", "status"])
            var message = Hearth_V1_Message()
            message.role = .tool
            message.toolCallID = try output.required("call_id")
            message.content = try output.text(of: "output")
            messages.append(message)
        case .string("item_reference"):
            throw .invalid(
                "\(path).type", "'\(path).type' cannot be \"item_reference\": nothing is stored here; send the item")
        default:
            throw .invalid(
                "\(path).type",
                "'\(path).type' must be \"message\", \"reasoning\", \"function_call\" or \"function_call_output\", "
                    + "not \(item.typeMember?.found ?? "missing")")
        }
    }

    private mutating func appendMessage(_ item: JSONNode, at path: String) throws(HTTPFailure) {
        let entry = try RequestObject(
            item, at: path, known: ["content", "role", "type"], withoutEffect: ["id", "phase", "status"])
        let role = try entry.required("role")
        let content = try entry.text(of: "content")
        switch role {
        case "system", "developer": append(.system, content)
        case "user": append(.user, content)
        case "assistant":
            change {
                $0.content.isEmpty
            } by: {
                $0.content = content
            }
        default: throw entry.failure("role", "must be system, developer, user or assistant")
        }
    }

    /// The whole reasoning where the item has it, and its summary otherwise; nothing where it is only encrypted.
    private mutating func appendReasoning(_ item: JSONNode, at path: String) throws(HTTPFailure) {
        let entry = try RequestObject(
            item, at: path, known: ["content", "summary", "type"], withoutEffect: ["encrypted_content", "id", "status"]
        )
        let whole = entry.node("content") == nil ? "" : try entry.text(of: "content")
        let summary = entry.node("summary") == nil ? "" : try entry.text(of: "summary")
        let text = whole.isEmpty ? summary : whole
        guard !text.isEmpty else { return }
        change {
            $0.content.isEmpty && $0.toolCalls.isEmpty
        } by: {
            $0.reasoning += text
        }
    }

    private mutating func appendCall(_ item: JSONNode, at path: String) throws(HTTPFailure) {
        let entry = try RequestObject(
            item, at: path, known: ["arguments", "call_id", "name", "type"], withoutEffect: ["id", "status"])
        var call = Hearth_V1_ToolCall()
        call.id = try entry.required("call_id")
        call.name = try entry.required("name")
        call.arguments = try entry.required("arguments")
        change { _ in
            true
        } by: {
            $0.toolCalls.append(call)
        }
    }

    /// Changes the last message where that is the model's and has room; otherwise a new one of the model.
    private mutating func change(
        if hasRoom: (Hearth_V1_Message) -> Bool, by body: (inout Hearth_V1_Message) -> Void
    ) {
        // The message is changed in its place: it may have many calls.
        let last = messages.count - 1
        if last >= 0, messages[last].role == .assistant, hasRoom(messages[last]) {
            body(&messages[last])
        } else {
            var message = Hearth_V1_Message()
            message.role = .assistant
            body(&message)
            messages.append(message)
        }
    }
}

extension RequestObject {
    /// A text, or parts of it, which are joined as they are.
    fileprivate func text(of key: String) throws(HTTPFailure) -> String {
        switch node(key)?.value {
        case nil: throw failure(key, "is missing")
        case .string(let text): return text
        case .array(let parts):
            var texts = ""
            for (index, node) in parts.enumerated() {
                let path = "\(place(key))[\(index)]"
                guard let type = node.typeMember, Self.textTypes.contains(where: { type.value == .string($0) }) else {
                    throw .invalid(
                        "\(path).type",
                        "'\(path).type' must be one of \(Self.textTypes.joined(separator: ", ")): messages are text")
                }
                let part = try RequestObject(
                    node, at: path, known: ["text", "type"],
                    withoutEffect: ["annotations", "logprobs", "prompt_cache_breakpoint"])
                texts += try part.required("text")
            }
            return texts
        case _?: throw failure(key, "must be a string or a list of parts")
        }
    }

    /// The types of parts that are text, all with the same members.
    private static let textTypes = ["input_text", "output_text", "text", "reasoning_text", "summary_text"]
}
