internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import HandOver
internal import InferenceMessages
internal import InferenceService
internal import LinuxSystem
internal import Logging
internal import SwiftProtobuf

/// This agent passes everything on to another one, which takes its place (`Predecessor`).
extension HostAgent {
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
            await converse(on: line, with: pid, done: done, failed: failed)
        }
    }

    /// Passes everything on, as `HandingOver` says.
    private func converse(
        on line: ParcelStream, with pid: Int32, done: @IOLoop () -> Void, failed: @IOLoop () -> Void
    ) async {
        var talk = HandingOver()
        var client: Client?
        var actions = talk.begin()
        while true {
            var event: HandingOver.Event?
            do {
                for action in actions {
                    switch action {
                    case .describe: try await describe(on: line)
                    case .connect(let relay):
                        guard let socket = relay.take(0) else { throw ParcelError.malformed("no socket") }
                        client = try await Client.connect(over: socket, limits: InferenceService.limitsOfPassing)
                        event = .connected
                    case .giveBackends:
                        hand.isPassing = true
                        try await giveBackends(on: line)
                    case .letGo:
                        if let client { letGo(to: client) }
                        done()
                    case .say(let kind):
                        let parcel = try kind == .given ? given : Parcel(kind)
                        try await line.send(parcel, withinMilliseconds: HandingOver.answerMilliseconds)
                    case .passCalls:
                        await passing?.end()
                        event = .callsPassed
                    case .goOnAlone:
                        hand.isPassing = false
                        supervisor.goOnAlone()
                    case .refuse(let why):
                        logger.warning("the agent with pid \(pid) does not take over, and this one goes on: \(why)")
                        client?.close()
                        _ = try? line.socket.trySend(Refusal.parcel(because: why))
                        failed()
                    }
                }
            } catch {
                event = .failed("\(error)")
            }
            if event == nil, let patience = talk.patienceMilliseconds {
                event = await heard(on: line, withinMilliseconds: patience)
            }
            guard var next = event else { return }
            if !isServing, !talk.hasLetGo { next = .failed("this agent ends") }
            actions = talk.take(next)
        }
    }

    /// What is told once all of it is the other agent's.
    private var given: Parcel {
        get throws {
            let given = Hearth_Handover_V1_Given.with { $0.usedTokens = access.usedTokens }
            return Parcel(.given, try given.serializedBytes())
        }
    }

    private func heard(
        on line: ParcelStream, withinMilliseconds milliseconds: UInt64
    ) async -> HandingOver.Event {
        do throws(ParcelError) {
            return try await line.receive(withinMilliseconds: milliseconds).map { .came($0) } ?? .closed
        } catch {
            return .failed("\(error)")
        }
    }

    /// Says hello, and sends the listeners.
    private func describe(on line: ParcelStream) async throws {
        let patience = HandingOver.answerMilliseconds
        let hello = Hearth_Handover_V1_Hello.with { $0.revision = HandingOver.revision }
        try await line.send(Parcel(.hello, try hello.serializedBytes()), withinMilliseconds: patience)
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
        if let bridge {
            try share(.http, bridge.asked, bridge.share())
            if let responses = bridge.shareResponses() {
                try share(.responses, bridge.asked, BoundSocket(descriptor: responses, address: bridge.address))
            }
        }
        for listener in listeners { try await line.send(listener, withinMilliseconds: patience) }
        try await line.send(Parcel(.end), withinMilliseconds: patience)
    }

    /// Has the backends stand still, and sends them.
    private func giveBackends(on line: ParcelStream) async throws {
        let patience = HandingOver.answerMilliseconds
        let hold = Hearth_Handover_V1_Hold.with {
            $0.pause = supervisor.hold.pause?.rawValue ?? ""
            $0.isDraining = supervisor.hold.isDraining
        }
        for backend in try supervisor.standStill() {
            let parcel = Parcel(.backend, backend.bytes, owning: backend.take())
            try await line.send(parcel, withinMilliseconds: patience)
        }
        try await line.send(Parcel(.end, try hold.serializedBytes()), withinMilliseconds: patience)
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
