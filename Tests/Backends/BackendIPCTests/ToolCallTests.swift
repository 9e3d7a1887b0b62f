import Testing
import WireFormat

@testable import BackendIPC

@Suite("Tool calls in the contract")
struct ToolCallTests {
    /// A conversation in which the sequence 0 may call these tools.
    private func running(
        _ capabilities: [String] = ["tools"], names: [String] = ["get", "set"], stops: [UInt32] = []
    ) throws -> BackendConversation {
        var conversation = BackendConversation(end: .agent)
        try conversation.backendSays(.hello(Hello(name: "b", version: "1", capabilities: capabilities)))
        try conversation.agentSays(
            .welcome(Welcome(revision: 1, maxFrameBytes: 1 << 20, pingIntervalMilliseconds: 1_000)))
        try conversation.agentSays(.load(Load(model: "m", maxSequences: 1)))
        try conversation.backendSays(.loaded(Loaded(maxContextTokens: 4_000, maxSequences: 1)))
        let bounds = SequenceBounds(stopTokenIDs: stops, toolNames: names)
        try conversation.agentSays(.start(Start(sequence: 0, credit: 3_000, request: [], bounds: bounds)))
        return conversation
    }

    private func piece(_ index: UInt32, _ arguments: String, id: String = "", name: String = "") -> ToolCallPiece {
        ToolCallPiece(index: index, id: Array(id.utf8), name: Array(name.utf8), arguments: Array(arguments.utf8))
    }

    private func encoded(_ pieces: [ToolCallPiece]) -> [UInt8] {
        pieces.flatMap { piece in
            [UInt8](unsafeUninitializedCapacity: piece.encodedSize) { memory, count in
                var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
                piece.encode(to: &writer)
                count = piece.encodedSize
            }
        }
    }

    /// What is wrong with a run of one token that has these pieces; "": nothing.
    private func flaw(
        _ conversation: inout BackendConversation, _ content: [UInt8], finish: Finish? = nil
    ) -> String {
        do {
            try [7 as UInt8].withUnsafeBytes { ids in
                try content.withUnsafeBytes { content in
                    try RareParts(toolCalls: content).encoded.withUnsafeBytes { rare in
                        let view = TokenRunView(sequence: 0, tokenCount: 1, packedTokenIDs: ids, rare: rare)
                        try conversation.backendRan(TokenRun(view, finish: finish))
                    }
                }
            }
            return ""
        } catch {
            return (error as? ContractViolation)?.sentence ?? "\(error)"
        }
    }

    private func flaw(
        _ conversation: inout BackendConversation, _ pieces: [ToolCallPiece], finish: Finish? = nil
    ) -> String {
        flaw(&conversation, encoded(pieces), finish: finish)
    }

    private let stop = Finish(.reason(.stop))

    /// `#expect` cannot call what mutates.
    private func expect(_ flaw: String, contains part: String, at location: SourceLocation = #_sourceLocation) {
        #expect(part.isEmpty ? flaw.isEmpty : flaw.contains(part), "\(flaw)", sourceLocation: location)
    }

    @Test("calls come in pieces, one after the other, and the sequence ends behind the last one")
    func honest() throws {
        var one = try running()
        expect(flaw(&one, [piece(0, "", id: "a", name: "set")]), contains: "")
        expect(flaw(&one, [piece(0, #"{"x"#), piece(0, #"":"ü"}"#)]), contains: "")
        expect(flaw(&one, [piece(1, "{}", id: "b", name: "get"), piece(2, "{", id: "c", name: "get")]), contains: "")
        expect(flaw(&one, [piece(2, "}")], finish: stop), contains: "")

        // Cut off by something else than the end of the turn.
        for (stops, finish) in [
            ([7], Finish(.reason(.stop), stopTokenID: 7)), ([], Finish(.fault(Fault(.internal, "no")))),
            ([], Finish(.reason(.length), promptTokens: 3_999)),
        ] as [([UInt32], Finish)] {
            var cut = try running(stops: stops)
            expect(flaw(&cut, [piece(0, "{", id: "a", name: "get")], finish: finish), contains: "")
        }
    }

    @Test("behind tokens of an earlier process the first piece tells which call it is of")
    func continued() throws {
        func started() throws -> BackendConversation {
            var conversation = try running(["tools", "continue"])
            expect(flaw(&conversation, [UInt8](), finish: stop), contains: "")
            let start = Start(
                sequence: 0, credit: 9, request: [], continuation: Continuation(tokenIDs: [1, 300]),
                bounds: SequenceBounds(toolNames: ["get"]))
            try conversation.agentSays(.start(start))
            return conversation
        }
        // In the middle of the third call, at its end, and before it.
        var middle = try started()
        expect(flaw(&middle, [piece(2, "1}"), piece(3, "{}", id: "a", name: "get")], finish: stop), contains: "")
        var behind = try started()
        expect(flaw(&behind, [piece(3, "{", id: "a", name: "get")]), contains: "")
        expect(flaw(&behind, [piece(5, "{}", id: "a", name: "get")]), contains: "the tool call 5, and the next is 4")
        var skips = try started()
        expect(flaw(&skips, [piece(2, "1}"), piece(4, "{}", id: "a", name: "get")]), contains: "and the next is 3")
        var none = try started()
        expect(flaw(&none, [piece(.max, "{}")]), contains: "the tool call 4294967295, and the next is 0")
    }

    @Test("the 256th call is the last")
    func tooMany() throws {
        var conversation = try running()
        for index in 0..<256 as Range<UInt32> {
            expect(flaw(&conversation, [piece(index, "{}", id: "a", name: "get")]), contains: "")
        }
        expect(flaw(&conversation, [piece(256, "{}", id: "a", name: "get")]), contains: "more than 256 tool calls")
    }

    @Test("what a call may not be is named")
    func dishonest() throws {
        let begun = piece(0, "{", id: "a", name: "get")
        let cases: [(pieces: [ToolCallPiece], part: String)] = [
            ([piece(1, "{}", id: "a", name: "get")], "the tool call 1, and the next is 0"),
            ([begun, piece(2, "{}", id: "b", name: "get")], "the tool call 2, and the next is 1"),
            ([piece(.max, "{}")], "the tool call 4294967295, and the next is 0"),
            ([begun, piece(.max, "}")], "the tool call 4294967295, and the next is 1"),
            ([piece(0, "{}", name: "get")], "id has 0 bytes"),
            ([piece(0, "{}", id: String(repeating: "x", count: 129), name: "get")], "id has 129 bytes"),
            ([piece(0, "{}", id: "a")], "none of the tools"), ([piece(0, "{}", id: "a", name: "gett")], "none of the"),
            ([begun, piece(0, "}", id: "a")], "the id or the name of a tool call twice"),
            ([begun, piece(0, "}", name: "get")], "the id or the name of a tool call twice"),
            ([begun, piece(1, "{}", id: "b", name: "get")], "before the arguments of the one before it were whole"),
            ([begun, piece(0, "x")], "arguments of a tool call whose text is no JSON object: 'x' stands at byte 1"),
            ([piece(0, "{}", id: "a", name: "get"), piece(0, " x")], "in place of the end of the text"),
            ([piece(0, "[]", id: "a", name: "get")], "in place of its '{'"),
            ([ToolCallPiece(index: 0, id: [0x61], name: [0x67, 0x65, 0x74], arguments: [0x7b, 0xc3])], "UTF-8"),
            ([ToolCallPiece(index: 0, id: [0xff], name: [0x67, 0x65, 0x74], arguments: [])], "UTF-8"),
            ([piece(0, "{\"" + String(repeating: "x", count: 1_024), id: "a", name: "get")], "at most 1024 a token"),
        ]
        for (pieces, part) in cases {
            var conversation = try running()
            expect(flaw(&conversation, pieces), contains: part)
        }
        for arguments in ["", "{", "{\"a\":1"] {
            var conversation = try running()
            expect(
                flaw(&conversation, [piece(0, arguments, id: "a", name: "get")], finish: stop),
                contains: "within the arguments of a tool call")
        }
        for content: [UInt8] in [[0x0a], [0x0a, 3, 8, 7], [0x0f]] {
            var conversation = try running()
            expect(flaw(&conversation, content), contains: "malformed tool calls")
        }
    }

    @Test("calls come only where tools were offered, and by a backend that has the capability")
    func unasked() throws {
        for (capabilities, names) in [([], ["get"]), (["tools"], [])] as [([String], [String])] {
            var conversation = try running(capabilities, names: names)
            expect(flaw(&conversation, [piece(0, "{}", id: "a", name: "get")]), contains: "nobody asked for")
        }
    }

    @Test("the next sequence of the same number begins without calls")
    func again() throws {
        var conversation = try running()
        expect(flaw(&conversation, [piece(0, "{}", id: "a", name: "get")], finish: stop), contains: "")
        try conversation.agentSays(
            .start(Start(sequence: 0, credit: 9, request: [], bounds: SequenceBounds(toolNames: ["get"]))))
        expect(flaw(&conversation, [piece(0, "{}", id: "a", name: "get")], finish: stop), contains: "")
    }

    @Test("a tool's name is of letters, digits and three marks")
    func names() {
        for name in ["a", "get_weather", "A-b.9", String(repeating: "x", count: 128)] {
            #expect(ToolCallPiece.isName(name), "\(name)")
        }
        for name in ["", "a b", "ä", "a/b", "a\n", String(repeating: "x", count: 129)] {
            #expect(!ToolCallPiece.isName(name), "\(name)")
        }
    }
}
