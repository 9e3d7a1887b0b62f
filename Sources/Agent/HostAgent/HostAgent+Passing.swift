internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import HandOver
internal import InferenceMessages
internal import InferenceService
internal import LinuxSystem
internal import Logging
internal import SwiftProtobuf

/// This agent passes everything on to another one, which takes its place (`Predecessor` is its end of the conversation).
extension HostAgent {
    /// What is said in hearth.handover.v1 is of this revision.
    nonisolated static let passingRevision: UInt32 = 1
    /// How long the other agent may take for one message, and to say that it has taken everything while the backends stand
    /// still.
    private nonisolated static let answerMilliseconds: UInt64 = 20_000
    private nonisolated static let takenMilliseconds: UInt64 = 10_000

    /// Connects to the agent with this process id, which listens at `path`, and passes everything on. `done` is called once
    /// that has everything, `failed` where this agent goes on as it was. Throws where it cannot begin.
    func passOn(
        to pid: Int32, at path: String, done: @escaping @IOLoop () -> Void, failed: @escaping @IOLoop () -> Void
    ) throws(Status) {
        guard isServing else { throw Status(.failedPrecondition, "the agent starts or ends") }
        let line: ParcelStream
        do throws(ParcelError) {
            let socket = try ParcelSocket.connect(toPath: path)
            try socket.demandSameUser()
            line = ParcelStream(socket)
        } catch {
            throw Status(.failedPrecondition, "cannot speak to the agent with pid \(pid) at \(path): \(error)")
        }
        Task {
            do {
                let client = try await describe(on: line)
                hand.isPassing = true
                do {
                    try await passBackends(on: line)
                } catch {
                    hand.isPassing = false
                    supervisor.goOnAlone()
                    client.close()
                    throw error
                }
                letGo(to: client)
                done()
                let given = Hearth_Handover_V1_Given.with { $0.usedTokens = access.usedTokens }
                let bytes: [UInt8] = (try? given.serializedBytes()) ?? []
                try? await line.send(Parcel(.given, bytes), withinMilliseconds: Self.answerMilliseconds)
                await passing?.end()
                try? await line.send(Parcel(.end), withinMilliseconds: Self.answerMilliseconds)
            } catch {
                logger.warning("the agent with pid \(pid) does not take over, and this one goes on: \(error)")
                let refusal = Hearth_Handover_V1_Refusal.with { $0.message = "\(error)" }
                let bytes: [UInt8] = (try? refusal.serializedBytes()) ?? []
                _ = try? line.socket.trySend(Parcel(.farewell, bytes))
                failed()
            }
        }
    }

    /// Sends the listeners, and connects to where the calls go on.
    private func describe(on line: ParcelStream) async throws -> Client {
        let hello = Hearth_Handover_V1_Hello.with { $0.revision = Self.passingRevision }
        try await line.send(
            Parcel(.hello, try hello.serializedBytes()), withinMilliseconds: Self.answerMilliseconds)
        // Each owns its descriptor, also where the other agent breaks off.
        var listeners: [Parcel] = []
        func share(
            _ role: Hearth_Handover_V1_Listener.Role, _ asked: SocketAddress, _ socket: consuming BoundSocket
        ) throws {
            let address = socket.address
            let listener = Hearth_Handover_V1_Listener.with {
                $0.role = role
                $0.asked = asked.description
                $0.address = address.description
            }
            let bytes: [UInt8] = try listener.serializedBytes()
            let descriptor = socket.take { descriptor, _ in descriptor.release() }
            listeners.append(Parcel(.listener, bytes, owning: [descriptor]))
        }
        try consumers.shareListeners { try share(.consumers, $0, $1) }
        try owner.shareListeners { try share(.owner, $0, $1) }
        if let bridge { try share(.http, bridge.asked, bridge.share()) }
        for listener in listeners { try await line.send(listener, withinMilliseconds: Self.answerMilliseconds) }
        try await line.send(Parcel(.end), withinMilliseconds: Self.answerMilliseconds)
        guard let relay = try await line.receive(withinMilliseconds: Self.answerMilliseconds), relay.kind == .relay,
            let socket = relay.take(0)
        else { throw Status(.unavailable, "it has broken off") }
        return try await Client.connect(over: socket, limits: InferenceService.limitsOfPassing)
    }

    /// Has the backends stand still, and sends them. Throws where the other agent has not taken them.
    private func passBackends(on line: ParcelStream) async throws {
        guard isServing else { throw Status(.unavailable, "this agent ends") }
        let hold = Hearth_Handover_V1_Hold.with {
            $0.pause = supervisor.hold.pause?.rawValue ?? ""
            $0.isDraining = supervisor.hold.isDraining
        }
        for backend in try supervisor.standStill() {
            let parcel = Parcel(.backend, backend.bytes, owning: backend.take())
            try await line.send(parcel, withinMilliseconds: Self.answerMilliseconds)
        }
        let end = Parcel(.end, try hold.serializedBytes())
        try await line.send(end, withinMilliseconds: Self.answerMilliseconds)
        let answer = try await line.receive(withinMilliseconds: Self.takenMilliseconds)
        guard let answer, answer.kind == .taken else { throw Status(.unavailable, "it has broken off") }
    }

    /// The other agent has everything.
    private func letGo(to client: Client) {
        consumers.leaveListeners()
        owner.leaveListeners()
        bridge?.retire()
        passing = inference.passOn(to: client, from: [consumers, bridged, passed], bridged: bridged)
        supervisor.letGo()
    }
}
