import InferenceMessages
import SwiftProtobuf
import Testing

@testable import HTTPProtocols

struct MessageSchemaTests {
    private let schema = MessageSchema.admin

    @Test func `the messages and calls of the owner's service are there with what the proto says of them`() throws {
        let status = try #require(schema.messages["Status"])
        let version = try #require(status.first)
        #expect(version.name == "version")
        #expect(version.comment == "The agent's version.")
        #expect(schema.comments["Status"] == "The agent now.")
        let pull = try #require(schema.calls["Pull"])
        #expect(pull.request == "PullRequest" && pull.response == "PullProgress" && pull.isStream)
        #expect(schema.calls["Stop"]?.comment == "Ends the agent as SIGTERM does. It answers at once.")
    }

    @Test func `what has no presence is always there, and what has it only where it is set`() throws {
        #expect(
            try schema.json(of: Hearth_Admin_V1_Pull()).text
                == #"{"source":"","state":"","done_bytes":0,"total_bytes":0}"#)
        #expect(try schema.json(of: Hearth_Admin_V1_ListLimitsResponse()).text == #"{"limits":[]}"#)
        let unset = try schema.json(of: Hearth_Admin_V1_Limit()).text
        #expect(unset == #"{"name":"","value":0,"unit":"","meaning":""}"#)
        let set = try schema.json(of: Hearth_Admin_V1_Limit.with { $0.timesMet = 0 }).text
        #expect(set == #"{"name":"","value":0,"unit":"","times_met":0,"meaning":""}"#)
        #expect(try !schema.json(of: Hearth_Admin_V1_Status()).text.contains(#""hold""#))
        let held = try schema.json(of: Hearth_Admin_V1_Status.with { $0.hold = .init() }).text
        #expect(held.contains(#""hold":{"pause":"","draining":false}"#))
    }

    @Test(
        "a number is a number as long as every reader can hold it",
        arguments: [
            (UInt64(1 << 53) - 1, "9007199254740991"), (1 << 53, #""9007199254740992""#),
            (.max, #""18446744073709551615""#),
        ])
    func numbers(value: UInt64, text: String) throws {
        #expect(
            try schema.json(of: Hearth_Admin_V1_ReadLogResponse.with { $0.log = value }).text
                == #"{"lines":[],"last_number":0,"unfinished":"","log":\#(text)}"#)
        #expect(
            try schema.json(of: Hearth_Admin_V1_HandOverRequest.with { $0.successorPid = -7 }).text
                == #"{"successor_pid":-7,"socket":""}"#)
    }

    /// SwiftProtobuf's reader is another's: it takes the names of the proto, and numbers as texts.
    private func expectSame<Message: SwiftProtobuf.Message & Equatable>(_ message: Message) throws {
        #expect(try Message(jsonString: schema.json(of: message).text) == message)
    }

    @Test func `another reader of proto3's JSON reads the same messages`() throws {
        let backend = Hearth_Admin_V1_Backend.with {
            $0.name = "llama \"1\"\n\u{1}"
            $0.model = "ü"
            $0.pid = .max
            $0.sandboxLayers = ["a", ""]
            $0.tokens = .max
            $0.maxSequences = .max
            $0.unloadInMilliseconds = 0
            $0.isLent = true
            $0.lastFailure.millisecondsAgo = .max
            $0.residualRisks = [.with { $0.name = "r" }, .init()]
        }
        try expectSame(backend)
        try expectSame(
            Hearth_Admin_V1_Status.with {
                $0.version = "1"
                $0.backends = [backend, .init()]
                $0.listeners = [.with { $0.address = "a:1" }]
                $0.bridge = .with { $0.openCalls = 3 }
            })
        // Packed on the wire.
        try expectSame(
            Hearth_Admin_V1_ListDeniedResponse.with {
                $0.calls = [
                    .with {
                        $0.arguments = [0, 1, 1 << 40, .max]
                        $0.allowedBy = ["p"]
                    }
                ]
            })
        try expectSame(
            Hearth_Admin_V1_ListModelsResponse.with {
                $0.models = [
                    .with {
                        $0.id = "m"
                        $0.loadedFraction = 0.1
                        $0.isOnDemand = true
                    }
                ]
            })
    }

    @Test func `what a newer agent says besides is left out, and bytes that are no message are the agent's fault`()
        throws
    {
        #expect(try schema.json([0xF8, 0xFF, 0x03, 1, 8, 7], as: "StopResponse").text == #"{"pid":7}"#)
        for bytes: [UInt8] in [[8], [0x0A, 5, 1], [0x0F], [0x0A, 1, 0xFF]] {
            let failure = #expect(throws: HTTPFailure.self) { try schema.json(bytes, as: "Pull") }
            #expect(failure?.statusCode == 502)
        }
    }
}
