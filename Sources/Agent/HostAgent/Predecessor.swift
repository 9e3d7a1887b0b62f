internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import Glibc
internal import HandOver
internal import InferenceMessages
internal import LinuxSystem
internal import Settings
internal import SwiftProtobuf

/// The running agent whose place this one takes, and what it passes on. While this object exists, no other agent can take
/// that one's place. On the loop.
@IOLoop
final class Predecessor {
    let pid: Int32
    /// The models that it can serve now.
    private let readyModels: Set<String>
    private let client: Client
    private let state: String
    /// A file of the state folder, locked with flock(2).
    private let lock: Descriptor
    private var line: ParcelStream?
    private var talk = TakingOver()
    private var listeners: [InheritedListener] = []
    private var backends: [PassedBackend] = []

    private init(_ status: Hearth_Admin_V1_Status, client: Client, state: String, lock: consuming Descriptor) {
        pid = status.pid
        readyModels = Set(status.backends.filter { $0.state == "ready" }.map(\.model))
        self.client = client
        self.state = state
        self.lock = lock
    }

    /// The agent at this address; nil when none answers. Throws when another one is just taking its place.
    static func find(at address: SocketAddress, state: String) async throws(HostError) -> Predecessor? {
        let path = state + "/take-over.lock"
        let lock: Descriptor
        do throws(LinuxError) {
            lock = try Descriptor.open(path, O_RDWR | O_CREAT)
        } catch {
            throw HostError("\(error)")
        }
        guard flock(lock.raw, LOCK_EX | LOCK_NB) == 0 else {
            throw HostError("another agent is taking over already (it holds \(path)): wait for it, or end it")
        }
        guard let client = try? await Client.connect(to: address) else { return nil }
        do {
            let status: Hearth_Admin_V1_Status = try await client.unary(
                "/hearth.admin.v1.Admin/GetStatus", Hearth_Admin_V1_GetStatusRequest())
            return Predecessor(status, client: client, state: state, lock: lock)
        } catch {
            throw HostError("the agent at \(address) does not say how it is: \(Status(describing: error).message)")
        }
    }

    /// Throws unless every model that it can serve now is among these.
    func demand(_ models: Set<String>) throws(HostError) {
        let missing = readyModels.subtracting(models).sorted().map { "'\($0)'" }
        guard missing.isEmpty else {
            throw refusal(
                "\(missing.joined(separator: ", ")) would not be served here: see to the backends, or end that agent first"
            )
        }
    }

    /// Asks it to pass everything on; it goes on as it is until `take`. Throws where it does not.
    func begin() async throws(HostError) {
        let path = "\(state)/take-over.sock"
        defer { unlink(path) }
        do {
            let listener = try ParcelListener(atPath: path)
            let _: Hearth_Admin_V1_HandOverResponse = try await client.unary(
                "/hearth.admin.v1.Admin/HandOver",
                Hearth_Admin_V1_HandOverRequest.with {
                    $0.successorPid = getpid()
                    $0.socket = path
                })
            guard let socket = try listener.accept() else {
                throw Status(.unimplemented, "it is of a version that passes nothing on: end it with 'hearth stop'")
            }
            line = ParcelStream(socket)
        } catch {
            throw refusal("\(error is Status ? Status(describing: error).message : "\(error)")")
        }
        try await follow(until: [.binding])
    }

    /// The socket that it listens on for this address, if there is one.
    func takeListener(_ role: Hearth_Handover_V1_Listener.Role, of address: SocketAddress) -> BoundSocket? {
        let found = listeners.firstIndex { $0.role == role && $0.listens(for: address) }
        return found.flatMap { listeners.remove(at: $0).take() }
    }

    /// Tells it where its calls go on, and takes its backends, which stand still from then on, and everything else. Once this
    /// returns, it has let go of all of it, or is dead. Throws where it goes on. Also returns what its owner has asked of it, and
    /// what keys have used of their minutes.
    func take(
        callsAt socket: consuming Descriptor
    ) async throws(HostError) -> (
        backends: [PassedBackend], hold: OwnerHold, usedTokens: [Hearth_Handover_V1_UsedTokens]
    ) {
        try await follow(.bound(Parcel(.relay, owning: [socket.release()])), until: [.calls, .over])
        client.close()
        defer { backends = [] }
        return (
            backends, OwnerHold(pause: OwnerHold.Pause(rawValue: talk.hold.pause), isDraining: talk.hold.isDraining),
            talk.given.usedTokens
        )
    }

    /// Whether it has died before it could let go of what this agent has taken.
    var hasDied: Bool { talk.hasDied }

    /// Returns once it has passed on every call and every turn that somebody may come back for, or is dead.
    func passesCalls() async { try? await follow(until: [.over]) }

    /// Does what the conversation asks for, until it is in one of these phases. Throws where this agent gives up.
    private func follow(_ first: TakingOver.Event? = nil, until goals: [TakingOver.Phase]) async throws(HostError) {
        var event = first
        while !goals.contains(talk.phase) {
            let actions = talk.take(await heard(event))
            event = nil
            for action in actions {
                switch action {
                case .keep(let listener): listeners.append(listener)
                case .keepBackend(let parcel):
                    backends.append(PassedBackend(bytes: parcel.bytes, owning: parcel.takeAll()))
                case .send(let parcel): event = await failure(of: parcel)
                case .giveUp(let why): throw refusal(why)
                }
            }
        }
    }

    /// The next event, where none has happened meanwhile.
    private func heard(_ event: TakingOver.Event?) async -> TakingOver.Event {
        if let event { return event }
        do throws(ParcelError) {
            return try await line?.receive(withinMilliseconds: talk.patienceMilliseconds).map { .came($0) } ?? .closed
        } catch {
            return .failed("\(error)")
        }
    }

    /// Sends a parcel; nil: it is on its way.
    private func failure(of parcel: Parcel) async -> TakingOver.Event? {
        do throws(ParcelError) {
            try await line?.send(parcel, withinMilliseconds: HandingOver.answerMilliseconds)
            return nil
        } catch {
            return .failed("\(error)")
        }
    }

    private func refusal(_ why: String) -> HostError {
        HostError("the agent with pid \(pid) does not make way, and goes on: \(why)")
    }
}
