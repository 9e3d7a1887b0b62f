import EventLoop
import Foundation
import GRPC
import LinuxSystem
import SwiftProtobuf
import Testing

/// Whose work a call is counted as.
struct CallerTests {
    @Test("A call without a key is its address's, or its user's on a Unix socket", arguments: Path.allCases)
    func origin(path: Path) async throws {
        let gate = RecordingGate()
        try await withServer(path, gate: gate) { server in
            let client = try await server.connect()
            let _: Text = try await client.unary("/test.Echo/Unary", Text("x"))
            let expected: CallerID = path == .unix ? .origin(.user(SystemUser.currentID)) : .origin(.ipv4(0x7f00_0001))
            #expect(await gate.seen == [expected])
            #expect(await gate.handled == [expected])
            await client.close()
        }
    }

    @Test("A call with a key is the key's, wherever it comes from")
    func key() async throws {
        let key = CallerID.key(sha256: [UInt8](repeating: 9, count: 32))
        let gate = RecordingGate(letsIn: key)
        try await withServer(.plaintext, gate: gate) { server in
            let client = try await server.connect()
            let _: Text = try await client.unary("/test.Echo/Unary", Text("x"))
            #expect(await gate.handled == [key])
            await client.close()
        }
    }
}

extension CallerTests {
    private static let key = CallerID.key(sha256: [UInt8](repeating: 7, count: 32))

    private func options() throws -> CallOptions {
        var metadata = Metadata()
        try metadata.add("key", "mine")
        return CallOptions(metadata: metadata)
    }

    @Test("What a key asks for beyond its steps waits, and is not lost")
    func stepsOfAKey() async throws {
        var limits = Limits()
        limits.callerStepsPerSecondMax = 100_000
        limits.callerStepsAtOnceMax = 100_000
        try await withServer(.plaintext, limits: limits, gate: RecordingGate(letsIn: Self.key)) { server in
            let client = try await server.connect()
            await server.server.charge(120_000, to: Self.key)
            let late: Text = try await client.unary("/test.Echo/Unary", Text("late"), options: try options())
            #expect(late == Text("late"))
            #expect(await server.server.limitsMet == ["callerStepsPerSecondMax": 1])
            await client.close()
        }
    }

    @Test("While a key waits its connection's other callers do not, and its call can be cancelled")
    func besideAKeyThatWaits() async throws {
        let gate = RecordingGate(letsIn: Self.key, whereMetadataHas: "key")
        try await withServer(.plaintext, gate: gate) { server in
            let client = try await server.connect()
            // A debt of minutes.
            await server.server.charge(1_000_000_000, to: Self.key)
            let call = await client.bidirectional(
                "/test.Echo/Echo", requests: Bytes.self, answers: Bytes.self, options: try options())
            try await call.send(Bytes(Data([1])))
            while await server.server.limitsMet["callerStepsPerSecondMax"] == nil { await Task.yield() }
            let other: Text = try await client.unary("/test.Echo/Unary", Text("other"))
            #expect(other == Text("other"))
            #expect(await gate.handled.isEmpty, "the one with the key goes on")
            await call.cancel()
            while await gate.handled != [Self.key] { await Task.yield() }
            await client.close()
        }
    }
}

/// Remembers whose calls it saw, as they came and as they ended.
@IOLoop
private final class RecordingGate: CallGate {
    let namesCallers = true
    private(set) var seen: [CallerID] = []
    private(set) var handled: [CallerID] = []
    private let letsIn: CallerID?
    /// Only calls with this metadata are anybody's.
    private let required: String?

    nonisolated init(letsIn: CallerID? = nil, whereMetadataHas required: String? = nil) {
        self.letsIn = letsIn
        self.required = required
    }

    @IOLoop
    private final class Holder: Caller {
        let id: CallerID
        private let ended: @IOLoop (CallerID) -> Void

        init(_ id: CallerID, ended: @escaping @IOLoop (CallerID) -> Void) {
            self.id = id
            self.ended = ended
        }

        func callEnded(_ call: ServerCall) { ended(call.callerID) }
    }

    func admit(_ call: ServerCall) throws(Status) -> (any Caller)? {
        seen.append(call.callerID)
        if let required, call.metadata[required] == nil { return nil }
        return Holder(letsIn ?? call.callerID) { self.handled.append($0) }
    }
}
