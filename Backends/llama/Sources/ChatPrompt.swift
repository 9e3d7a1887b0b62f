import BackendKit
import CLlama

/// A conversation and its tools in the library's form. Immutable once made, so that the thread that tokenizes may read it.
final class ChatPrompt: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Throws where there is no memory.
    init(_ messages: [GenerateRequest.Message], _ tools: GenerateRequest.Tools?) throws(EngineFault) {
        guard let pointer = hearth_llama_conversation_new() else { throw Self.noMemory }
        self.pointer = pointer
        for message in messages {
            let isAdded = Self.withTexts([message.content, message.name, message.toolCallID, message.reasoning]) {
                hearth_llama_conversation_add_message(
                    pointer, message.role.templateName.cString, $0[0], $0[1], $0[2], $0[3])
            }
            guard isAdded else { throw Self.noMemory }
            for call in message.toolCalls {
                let isAdded = Self.withTexts([call.id, call.name, call.arguments]) {
                    hearth_llama_conversation_add_call(pointer, $0[0], $0[1], $0[2])
                }
                guard isAdded else { throw Self.noMemory }
            }
        }
        if let tools { try add(tools) }
    }

    deinit { hearth_llama_conversation_free(pointer) }

    private func add(_ use: GenerateRequest.Tools) throws(EngineFault) {
        for tool in use.tools {
            let parameters = tool.parameters.isEmpty ? Self.noParameters : tool.parameters
            let isAdded = Self.withTexts([tool.name, tool.description, parameters]) {
                hearth_llama_conversation_add_tool(pointer, $0[0], $0[1], $0[2])
            }
            guard isAdded else { throw Self.noMemory }
        }
        let (choice, required): (hearth_llama_tool_choice, String) =
            switch use.choice {
            case .auto: (HEARTH_LLAMA_TOOLS_AUTO, "")
            case .none: (HEARTH_LLAMA_TOOLS_NONE, "")
            case .required(let name): (HEARTH_LLAMA_TOOLS_REQUIRED, name ?? "")
            }
        guard Self.withTexts([required], { hearth_llama_conversation_choose(pointer, choice, $0[0]) }) else {
            throw Self.noMemory
        }
        if let parallel = use.parallelCalls { hearth_llama_conversation_set_parallel(pointer, parallel) }
    }

    /// What a template is shown of a tool that names no schema.
    private static let noParameters = #"{"type":"object","properties":{}}"#

    private static let noMemory = EngineFault(
        .overloaded, "there is no memory for so long a conversation; try again later")

    /// The texts as the library takes them, valid during `body`.
    private static func withTexts<Result>(_ texts: [String], _ body: ([hearth_llama_text]) -> Result) -> Result {
        texts.flatMap(\.utf8).withUnsafeBytes { bytes in
            var offset = 0
            return body(
                texts.map { text in
                    let count = text.utf8.count
                    defer { offset += count }
                    // Every offset lies within the bytes, or at their end for an empty text.
                    return hearth_llama_text(
                        bytes: bytes.baseAddress.map { ($0 + offset).assumingMemoryBound(to: CChar.self) }, count: count
                    )
                })
        }
    }
}

extension GenerateRequest {
    /// The texts that the template may show.
    var texts: [String] {
        switch prompt {
        case .text(let text): [text]
        case .messages(let messages): messages.flatMap(\.texts) + (tools?.tools.flatMap(\.texts) ?? [])
        case .tokenIDs: []
        }
    }

    /// Those of them that every template shows.
    var shownTexts: [String] {
        if case .messages(let messages) = prompt { messages.map(\.content) } else { texts }
    }
}

extension GenerateRequest.Message {
    fileprivate var texts: [String] { [content, name, reasoning] + toolCalls.flatMap { [$0.name, $0.arguments] } }
}

extension GenerateRequest.Tools.Tool {
    fileprivate var texts: [String] { [name, description, parameters] }
}

extension GenerateRequest.Role {
    /// The name of the role in chat templates.
    fileprivate var templateName: StaticString {
        switch self {
        case .system: "system"
        case .assistant: "assistant"
        case .tool: "tool"
        case .user, .unspecified: "user"
        }
    }
}

extension StaticString {
    /// NUL-terminated, for the life of the process.
    fileprivate var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}
