internal import BackendIPC
internal import StrictJSON
internal import WireFormat

/// What a `RequestScan` has to remember of the messages and tools that it reads.
struct ConversationScan {
    /// The message that is being read.
    struct Message {
        var index = 0
        var role: Int32 = 0
        var hasContent = false
        var parts = 0
        var calls = 0
        var hasCallID = false
        var hasReasoning = false
    }

    struct Call {
        var id = ""
        var name = ""
    }

    var message = Message()
    /// Of the part of a message that is being read: how many of its `oneof` it has.
    var partHasContent = false
    /// The call that is being read, and the ids of all before it.
    var call = Call()
    var callIDs: Set<String> = []
    var calls = 0
    /// Of the tool that is being read.
    var toolName = ""
    /// The JSON object that is being read, and what it is called in an error.
    var json: JSONObjectScan?
    var jsonPath = ""

    mutating func begin(message index: Int) { message = Message(index: index) }

    /// The path of the message, as in inference.proto.
    var path: String { "messages[\(message.index)]" }

    /// `path`: what the object is called in an error.
    mutating func beginJSON(_ path: String) {
        json = JSONObjectScan()
        jsonPath = path
    }
}

// Messages and their parts.
extension RequestScan {
    /// A length-delimited field of a message, or of a part of one.
    mutating func enterConversation(
        _ part: Part, _ number: Int, _ content: UnsafeRawBufferPointer
    ) throws(WireError) -> Part? {
        switch (part, number) {
        case (.message, 2):
            conversation.message.hasContent = !content.isEmpty
            return .text(field: 2)
        case (.message, 3):
            conversation.message.parts += 1
            conversation.partHasContent = false
            try count(\.messageContents.parts, limits.messagePartsMax, "messages.parts", "parts")
            return .messagePart
        case (.messagePart, 1):
            conversation.partHasContent = true
            return .text(field: 1)
        case (.messagePart, 2), (.messagePart, 3):
            conversation.partHasContent = true
            if number == 2 { request.messageContents.hasImages = true } else { request.messageContents.hasAudio = true }
            return .media
        case (.media, 1):
            _ = try short(content, "\(conversation.path).parts.media_type", limits.messageNameBytesMax, field: 1)
        case (.message, 4):
            _ = try short(content, "\(conversation.path).name", limits.messageNameBytesMax, field: 4)
            request.messageContents.hasToolFields = true
        case (.message, 5):
            let id = try short(content, "\(conversation.path).tool_call_id", limits.messageNameBytesMax, field: 5)
            conversation.message.hasCallID = !id.isEmpty
            if !id.isEmpty, !conversation.callIDs.contains(id) {
                try refuse(
                    RequestValidation.invalid(
                        "\(conversation.path).tool_call_id", "is '\(id)'",
                        "the id of one of the tool_calls of an earlier message"))
            }
        case (.message, 6):
            conversation.message.calls += 1
            conversation.calls += 1
            conversation.call = ConversationScan.Call()
            request.messageContents.hasToolFields = true
            if conversation.calls > limits.messageCallsMax {
                try refuse(
                    RequestValidation.invalid(
                        "messages.tool_calls", "has more than \(limits.messageCallsMax) calls",
                        "at most \(limits.messageCallsMax) in all messages"))
            }
            return .messageCall
        case (.message, 7):
            conversation.message.hasReasoning = !content.isEmpty
            request.messageContents.hasToolFields = true
            return .text(field: 7)
        case (.messageCall, 1):
            conversation.call.id = try short(content, "\(callPath).id", limits.messageNameBytesMax, field: 1)
        case (.messageCall, 2):
            conversation.call.name = try short(content, "\(callPath).name", ToolCallPiece.nameBytesMax, field: 2)
        case (.messageCall, 3):
            // None are an object without members.
            if content.isEmpty { break }
            conversation.beginJSON("\(callPath).arguments")
            return .json(field: 3)
        default: break
        }
        return nil
    }

    private var callPath: String { "\(conversation.path).tool_calls[\(conversation.message.calls - 1)]" }

    private mutating func count(
        _ count: WritableKeyPath<TurnRequest, Int>, _ most: Int, _ path: String, _ what: String
    ) throws(WireError) {
        request[keyPath: count] += 1
        if request[keyPath: count] > most {
            try refuse(
                RequestValidation.invalid(path, "has more than \(most) \(what)", "at most \(most) in all messages"))
        }
    }

    /// A message was read to its end.
    mutating func leftMessage() throws(WireError) {
        let message = conversation.message
        let path = conversation.path
        request.messageContents.endsWithAssistant = message.role == 3
        guard (1...4).contains(message.role) else {
            return try refuse(
                RequestValidation.invalid(
                    "\(path).role", "is \(message.role)", "ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT or ROLE_TOOL"))
        }
        if message.role == 4 { request.messageContents.hasToolFields = true }
        if message.hasContent, message.parts > 0 {
            try refuse(RequestValidation.invalid("\(path).parts", "stands beside content", "one of the two"))
        }
        if message.hasCallID, message.role != 4 {
            try refuse(RequestValidation.invalid("\(path).tool_call_id", "is set", "only in a message of ROLE_TOOL"))
        }
        if message.calls > 0 || message.hasReasoning, message.role != 3 {
            try refuse(
                RequestValidation.invalid(
                    "\(path).\(message.calls > 0 ? "tool_calls" : "reasoning")", "is set",
                    "only in a message of ROLE_ASSISTANT"))
        }
    }

    mutating func leftMessagePart() throws(WireError) {
        if conversation.partHasContent { return }
        try refuse(
            RequestValidation.invalid(
                "\(conversation.path).parts[\(conversation.message.parts - 1)]", "holds nothing that this host knows",
                "one of text, image and audio"))
    }

    mutating func leftMessageCall() throws(WireError) {
        let call = conversation.call
        if call.id.isEmpty { try refuse(RequestValidation.invalid("\(callPath).id", "is empty", "the id of the call")) }
        if !conversation.callIDs.insert(call.id).inserted {
            try refuse(
                RequestValidation.invalid("\(callPath).id", "is '\(call.id)', which stands twice", "each id once"))
        }
        try checkToolName(call.name, "\(callPath).name")
    }

    private mutating func checkToolName(_ name: String, _ path: String) throws(WireError) {
        if ToolCallPiece.isName(name) { return }
        try refuse(
            RequestValidation.invalid(
                path, "is '\(name)'", "1 to \(ToolCallPiece.nameBytesMax) letters, digits, '_', '-' and '.'"))
    }
}

// Tools.
extension RequestScan {
    private var toolPath: String { "tools.tools[\(request.tools?.names.count ?? 0)]" }

    /// A length-delimited field of a `ToolUse` or of one of its tools.
    mutating func enterTools(
        _ part: Part, _ number: Int, _ content: UnsafeRawBufferPointer
    ) throws(WireError) -> Part? {
        switch (part, number) {
        case (.tools, 1):
            conversation.toolName = ""
            if request.tools?.names.count ?? 0 >= limits.toolsMax {
                try refuse(
                    RequestValidation.invalid(
                        "tools.tools", "has more than \(limits.toolsMax) tools", "at most \(limits.toolsMax)"))
            }
            request.tools?.byteCount += content.count
            if request.tools?.byteCount ?? 0 > limits.toolsBytesMax {
                try refuse(
                    RequestValidation.invalid(
                        "tools.tools", "has more than \(limits.toolsBytesMax) bytes", "at most \(limits.toolsBytesMax)")
                )
            }
            return .tool
        case (.tools, 3):
            let name = try short(content, "tools.required_tool", ToolCallPiece.nameBytesMax, field: 3)
            request.tools?.requiredTool = name
        case (.tool, 1):
            conversation.toolName = try short(content, "\(toolPath).name", ToolCallPiece.nameBytesMax, field: 1)
        case (.tool, 2): return .text(field: 2)
        case (.tool, 3):
            if content.isEmpty { break }
            let name = conversation.toolName
            conversation.beginJSON(name.isEmpty ? "\(toolPath).parameters" : "\(toolPath).parameters ('\(name)')")
            return .json(field: 3)
        default: break
        }
        return nil
    }

    mutating func leftTool() throws(WireError) {
        let name = conversation.toolName
        try checkToolName(name, "\(toolPath).name")
        if request.tools?.names.contains(name) == true {
            try refuse(
                RequestValidation.invalid("\(toolPath).name", "is '\(name)', which stands twice", "each tool once"))
        }
        request.tools?.names.append(name)
    }
}

// JSON.
extension RequestScan {
    mutating func readJSON(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
        do throws(JSONObjectScan.Flaw) {
            try conversation.json?.read(bytes)
        } catch {
            try refuseJSON(error)
        }
    }

    mutating func leftJSON() throws(WireError) {
        do throws(JSONObjectScan.Flaw) {
            try conversation.json?.end()
        } catch {
            try refuseJSON(error)
        }
        conversation.json = nil
    }

    private mutating func refuseJSON(_ flaw: JSONObjectScan.Flaw) throws(WireError) {
        try refuse(RequestValidation.invalid(conversation.jsonPath, flaw.sentence))
    }
}
