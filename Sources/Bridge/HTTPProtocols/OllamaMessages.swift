internal import InferenceMessages
internal import StrictJSON

/// The messages of Ollama's `/api/chat`.
struct OllamaMessages {
    private static let known: Set<String> = [
        "content", "images", "name", "role", "thinking", "tool_call_id", "tool_calls", "tool_name",
    ]

    private var messages = Hearth_V1_Messages()
    private var callCount = 0
    /// The calls of the last message of the model that have no result yet.
    private var unanswered: [Hearth_V1_ToolCall] = []

    static func read(_ request: RequestObject) throws(HTTPFailure) -> Hearth_V1_Messages {
        var reader = OllamaMessages()
        for (index, entry) in try (request.list("messages") ?? []).enumerated() {
            try reader.add(RequestObject(entry, at: "messages[\(index)]", known: known))
        }
        return reader.messages
    }

    private mutating func add(_ entry: RequestObject) throws(HTTPFailure) {
        try entry.refuse(unlessEmpty: [("images", "messages are text")])
        var message = Hearth_V1_Message()
        switch try entry.required("role").lowercased() {
        case "system": message.role = .system
        case "user": message.role = .user
        case "assistant": message.role = .assistant
        case "tool": message.role = .tool
        default: throw entry.failure("role", "must be system, user, assistant or tool")
        }
        message.reasoning = try entry.string("thinking") ?? ""
        message.toolCalls = try calls(entry)
        let says = !message.toolCalls.isEmpty || !message.reasoning.isEmpty
        message.content = says ? try entry.string("content") ?? "" : try entry.required("content")
        // Older clients have the tool's name in `name`.
        let names = try (entry.string("tool_name"), entry.string("name"))
        if names.0 != nil, message.role != .tool { throw entry.failure("tool_name", "needs the role tool") }
        message.name = names.0 ?? names.1 ?? ""
        message.toolCallID = try entry.string("tool_call_id") ?? ""
        if message.role == .assistant { unanswered = message.toolCalls }
        if message.role == .tool { answer(&message) }
        messages.messages.append(message)
    }

    /// A result without an id is that of the first call of its tool, or of any tool where it names none, that has none.
    private mutating func answer(_ message: inout Hearth_V1_Message) {
        let (id, name) = (message.toolCallID, message.name)
        let place = unanswered.firstIndex { id.isEmpty ? name.isEmpty || $0.name == name : $0.id == id }
        guard let place else { return }
        message.toolCallID = unanswered.remove(at: place).id
    }

    private mutating func calls(_ message: RequestObject) throws(HTTPFailure) -> [Hearth_V1_ToolCall] {
        var calls: [Hearth_V1_ToolCall] = []
        for (index, node) in try (message.list("tool_calls") ?? []).enumerated() {
            let path = "\(message.place("tool_calls"))[\(index)]"
            let entry = try RequestObject(node, at: path, known: ["function", "id", "type"])
            if let type = try entry.string("type"), type != "function" {
                throw entry.failure("type", "must be \"function\"")
            }
            // Clients send back the index that they were given.
            guard let function = try entry.object("function", known: ["arguments", "name"], withoutEffect: ["index"])
            else { throw entry.failure("function", "is missing") }
            var call = Hearth_V1_ToolCall()
            call.id = try entry.string("id") ?? ""
            // Made of its place, so that the same conversation has the same ids, which templates may show the model.
            if call.id.isEmpty { call.id = "call_\(callCount)" }
            call.name = try function.required("name")
            call.arguments = try function.objectText("arguments") ?? ""
            callCount += 1
            calls.append(call)
        }
        return calls
    }
}
