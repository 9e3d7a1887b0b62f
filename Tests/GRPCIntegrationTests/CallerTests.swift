import EventLoop
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

/// Remembers whose calls it saw, as they came and as they ended.
@IOLoop
private final class RecordingGate: CallGate {
    let namesCallers = true
    private(set) var seen: [CallerID] = []
    private(set) var handled: [CallerID] = []
    private let letsIn: CallerID?

    nonisolated init(letsIn: CallerID? = nil) { self.letsIn = letsIn }

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
        return Holder(letsIn ?? call.callerID) { self.handled.append($0) }
    }
}
