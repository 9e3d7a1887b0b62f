internal import BackendIPC
internal import ByteBuffer
internal import FoundationEssentials
internal import InferenceMessages
internal import SwiftProtobuf

/// How far the conversation with a backend has come that passes from one agent to another.
struct PassedConversation {
    /// The payloads of the frames of these messages, as they came.
    var hello: [UInt8]
    var welcome: Welcome
    var load: Load
    /// Empty: it is loading its model.
    var loaded: [UInt8]
    /// Bytes that were read and not looked at, and bytes that are still to be written.
    var unread: [UInt8] = []
    var unwritten: [UInt8] = []
    /// What has yet to end.
    var sequences: Set<UInt32> = []
    var embeds: Set<UInt32> = []
    /// Tokens that came since the process began.
    var tokens: UInt64 = 0

    /// The conversation up to its Loaded, or to its Load where that has not come. Throws where it breaks the contract as this agent knows it.
    func replayed() throws -> BackendConversation {
        var conversation = BackendConversation(end: .agent)
        try hello.withUnsafeBytes { try conversation.backendSays(BackendMessage(decoding: $0)) }
        try conversation.agentSays(.welcome(welcome))
        try conversation.agentSays(.load(load))
        if !loaded.isEmpty {
            try loaded.withUnsafeBytes { try conversation.backendSays(BackendMessage(decoding: $0)) }
        }
        guard conversation.phase == (loaded.isEmpty ? .loading : .ready) else {
            throw SupervisorError("the messages of its backend are not those of one that loads its model, or has")
        }
        return conversation
    }
}

// Its message.
extension PassedConversation {
    init(_ message: Hearth_Handover_V1_Conversation) throws {
        guard case .welcome(let welcome) = try message.welcome.withUnsafeBytes({ try AgentMessage(decoding: $0) }),
            case .load(let load) = try message.load.withUnsafeBytes({ try AgentMessage(decoding: $0) }),
            (1...UInt32(Int32.max)).contains(welcome.maxFrameBytes)
        else { throw SupervisorError("the messages to its backend are not those of an agent") }
        self.init(
            hello: Array(message.hello), welcome: welcome, load: load, loaded: Array(message.loaded),
            unread: Array(message.unread), unwritten: Array(message.unwritten), sequences: Set(message.sequences),
            embeds: Set(message.embeds), tokens: message.tokens)
    }

    var message: Hearth_Handover_V1_Conversation {
        var message = Hearth_Handover_V1_Conversation()
        message.hello = .init(hello)
        message.welcome = .init(Self.payload(of: .welcome(welcome)))
        message.load = .init(Self.payload(of: .load(load)))
        message.loaded = .init(loaded)
        message.unread = .init(unread)
        message.unwritten = .init(unwritten)
        message.sequences = sequences.sorted()
        message.embeds = embeds.sorted()
        message.tokens = tokens
        return message
    }

    /// The frame of a message without its length.
    private static func payload(of message: AgentMessage) -> [UInt8] {
        var frame = ByteQueue()
        message.appendFrame(to: &frame)
        return Array(frame.bytes.dropFirst(4))
    }
}
