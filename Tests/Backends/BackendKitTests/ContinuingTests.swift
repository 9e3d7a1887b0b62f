import BackendDriver
import BackendIPC
import BackendKit
import Testing

/// Emits the ids that follow the last one, or 100 and on; the last is in the middle of a tool call.
private struct CountingOn: Engine, Sendable {
    static let name = "counting"
    static let version = "1"
    static let capabilities: [Capability] = [.continues, .tools]
    private var next: UInt32 = 0

    init() {}

    mutating func load(_ request: LoadRequest, progress: (Float) -> Void) throws(EngineFault) -> LoadedModel {
        LoadedModel(maxContextTokens: 20, maxSequences: 1)
    }

    mutating func start(_ sequence: Int, _ request: GenerateRequest) throws(EngineFault) {
        next = request.generatedTokenIDs.last.map { $0 + 1 } ?? 100
    }

    mutating func cancel(_ sequence: Int) -> PromptTokens { PromptTokens(total: 1) }

    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace {
        if next == 104 {
            step.emit(
                0, token: next, text: .init(start: nil, count: 0), toolCalls: [ToolCallPart(index: 1, arguments: "1}")])
            step.finish(0, .length, prompt: PromptTokens(total: 1))
        } else {
            step.emit(0, token: next, text: "a")
        }
        next += 1
        return .again
    }
}

@Suite("Backends that go on with a completion")
struct ContinuingTests {
    @Test("an engine gets the tokens that were sent, they count for the longest length, and its calls go on")
    func goesOn() throws {
        let backend = try ServedEngine(CountingOn())
        try backend.agent.listen { $0.conversation.phase == .ready }
        // The text "x", stopping.max_tokens = 5, and a tool "t".
        let request: [UInt8] = [0x22, 1, 0x78, 0x3a, 2, 8, 5, 0x62, 5, 0x0a, 3, 0x0a, 1, 0x74]
        try backend.agent.start(0, request, behind: [100, 101, 102])
        let completion = try backend.agent.finish(0)
        #expect(completion.tokens == [103, 104] && completion.reason == .length)
        #expect(!completion.toolCallBytes.isEmpty)
    }
}
