package import ConsumerAccess
package import EventLoop
package import GRPC
internal import HTTP2Connection
internal import InferenceMessages
internal import SwiftProtobuf

internal import struct Foundation.Data

/// The calls of consumers go on when another agent takes the place of this one. This one keeps their connections: it opens a
/// call to the other for each of them, whose first message says how it stands, and relays from then on.
extension InferenceService {
    /// What the first message of such a call says.
    static let passingRevision: UInt32 = 1
    private nonisolated static let passedBytesMax = 64 << 20

    /// The limits of the server for calls that another agent passes on, which has bounded what their consumers do. `limits`:
    /// those for consumers.
    package nonisolated static func limitsOfPassedCalls(_ limits: Limits) -> Limits {
        var limits = limits
        limits.messageBytesMax = passedBytesMax
        limits.messageBytesPerConnectionMax = .max
        limits.callerStepsPerSecondMax = .max
        limits.callerStepsAtOnceMax = .max
        limits.http2.concurrentStreamsMax = UInt32(Int32.max)
        limits.http2.idleMilliseconds = 0
        limits.http2.ageMilliseconds = 0
        limits.http2.keepaliveMilliseconds = 0
        limits.http2.resetsAtOnceMax = .max
        limits.http2.resetsPerSecondMax = .max
        limits.http2.lateResetsPerSecondMax = .max
        limits.http2.streamBufferBytesMax = passedBytesMax
        return limits
    }

    /// The limits of the client that passes calls on.
    package nonisolated static var limitsOfPassing: Limits {
        var limits = Limits.client
        // What is computed ahead of a consumer lies here and there.
        limits.http2.streamWindowBytes = 64 << 10
        limits.http2.streamBufferBytesMax = passedBytesMax
        return limits
    }

    /// Serves on this server the calls that another agent passes on; they wait for `goOnWithPassedCalls`.
    package func servePassedCalls(on server: Server) {
        passedServer = server
        server.register(self)
    }

    /// Who may call there: `keys` knows those that have a key.
    package func gateOfPassedCalls(_ keys: ConsumerRegister) -> any CallGate { PassedCaller.Gate(keys) }

    /// The backends are there, so that calls that were passed on can go on.
    package func goOnWithPassedCalls() {
        holdsPassedCalls = false
        let held = heldCalls
        heldCalls = []
        for goOn in held { goOn() }
    }

    /// Calls back once calls that were passed on can go on.
    func whenPassedCallsGoOn(_ body: @escaping @IOLoop () -> Void) {
        if holdsPassedCalls { heldCalls.append(body) } else { body() }
    }

    /// Passes every call of these servers on, and every turn that its consumer may come back for; from now on every new call,
    /// too. Nothing of the turns comes of the backends here any more. `bridged`: the server of the HTTP bridge.
    package func passOn(to successor: Client, from servers: [Server], bridged: Server) -> Passage {
        let passing = Passage()
        self.successor = (successor, bridged, passing)
        queuesAreLeft()
        for server in servers {
            for case let handler as RequestHandler in server.handlers { handler.leave() }
        }
        for turn in resumables.all {
            let metadata = PassedCaller.metadata(of: turn.call, over: bridged)
            guard let record = turn.leave() else { continue }
            var call = Hearth_Handover_V1_Call()
            call.revision = Self.passingRevision
            call.isAbsent = true
            call.turn = record
            passing.pass(call, metadata, to: successor)
        }
        return passing
    }

    /// Goes on with turns that were written down by an agent that has died, each as the bytes of its record: passes them to this
    /// agent itself by the client, as another one would.
    package func goOn(withKept records: [[UInt8]], by client: Client) -> Passage {
        let passing = Passage()
        for record in records {
            // What cannot be read is no turn, and is refused as such.
            let turn = (try? TurnRecord(serializedBytes: record)) ?? TurnRecord()
            var call = Hearth_Handover_V1_Call()
            call.revision = Self.passingRevision
            call.isAbsent = true
            call.turn = turn
            passing.pass(call, PassedCaller.metadata(of: turn.resumption.caller), to: client)
        }
        return passing
    }

    /// Relays this call to the agent that has taken this one's place; nil: none has. `record`: how it stands.
    func relay(_ call: ServerCall, _ record: Hearth_Handover_V1_Call) -> RelayedCall? {
        guard let successor else { return nil }
        var record = record
        record.revision = Self.passingRevision
        return RelayedCall(
            call, record, by: successor.client, over: successor.bridged, passing: successor.passing)
    }

    /// Goes on with a turn that was passed on. Throws why it cannot.
    func goOn(
        with record: Hearth_Handover_V1_Call, on call: ServerCall,
        ended: @escaping @IOLoop (TurnState.Ending) -> Void
    ) throws(Status) -> Turn {
        var request = TurnRequest()
        if !record.turn.request.isEmpty {
            let bytes = [UInt8](record.turn.request)
            let scanned = bytes.withUnsafeBytes { bytes in
                Result { () throws(Status) in
                    var scan = RequestScan.generate(byteCount: bytes.count, limits: limits)
                    var steps = Int.max
                    return try scan.advance(bytes, steps: &steps)
                }
            }
            guard case .generate(let known)? = try scanned.get() else { throw StatusMapping.passedOnWrongly }
            request = known
        }
        let consumer = call.caller as? Consumer
        var claim = QueueClaim(
            caller: call.callerID, share: consumer?.share ?? 1,
            priority: (try? Consumer.priority(of: call, for: consumer)) ?? .normal)
        claim.sequences = request.choiceCount
        claim.wantsPlace = request.wantsQueueEvents
        let turn = Turn(
            record.turn, request, claim: claim, call: call, isAbsent: record.isAbsent, service: self, ended: ended)
        guard let turn else { throw StatusMapping.passedOnWrongly }
        if !turn.isOver { queue(of: turn.model).goesOn(turn) }
        turn.goesOn()
        return turn
    }
}

/// The calls, and the turns that nobody reads at present, on their way to another agent. This one may not end before that has
/// them.
@IOLoop
package final class Passage: ClientCallHandler {
    private var open = 0
    /// How many of them the other agent does not go on with, and why the last one was refused.
    package private(set) var refused = 0
    package private(set) var refusal = Status.ok
    private var waiters: [CheckedContinuation<Void, Never>] = []

    fileprivate func pass(_ record: Hearth_Handover_V1_Call, _ metadata: Metadata, to client: Client) {
        begin()
        let call = client.start(
            "/hearth.v1.Inference/Resume", options: CallOptions(metadata: metadata), handler: self)
        call.send(record)
        call.endSending()
    }

    func begin() { open += 1 }

    /// The other agent has one more of them.
    func done() {
        open -= 1
        guard open == 0 else { return }
        for waiter in waiters { waiter.resume() }
        waiters = []
    }

    /// Returns once the other agent has all of them.
    package func end() async {
        if open > 0 { await withCheckedContinuation { waiters.append($0) } }
    }

    package func received(initialMetadata: Metadata) {}
    package func received(_ message: UnsafeRawBufferPointer) {}
    package func sendBufferDrained() {}

    package func finished(_ status: Status, trailers: Metadata) {
        if !status.isOK { (refused, refusal) = (refused + 1, status) }
        done()
    }
}
