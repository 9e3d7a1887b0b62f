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
    private var listeners: [Inherited] = []

    /// A listening socket, until it is taken.
    private struct Inherited {
        let role: Hearth_Handover_V1_Listener.Role
        let asked: String
        let address: SocketAddress
        let descriptor: CInt
    }

    /// How long that agent may take for one message.
    private nonisolated static let answerMilliseconds: UInt64 = 20_000

    private init(_ status: Hearth_Admin_V1_Status, client: Client, state: String, lock: consuming Descriptor) {
        pid = status.pid
        readyModels = Set(status.backends.filter { $0.state == "ready" }.map(\.model))
        self.client = client
        self.state = state
        self.lock = lock
    }

    deinit { for listener in listeners { close(listener.descriptor) } }

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
        let hello = try await receive()
        let revision = (try? Hearth_Handover_V1_Hello(serializedBytes: hello.bytes))?.revision
        guard hello.kind == .hello, revision == HostAgent.passingRevision else {
            throw refusal("it passes on what this version does not understand: end it with 'hearth stop'")
        }
        while true {
            let parcel = try await receive()
            guard parcel.kind == .listener else { break }
            guard let listener = try? Hearth_Handover_V1_Listener(serializedBytes: parcel.bytes),
                let address = try? SocketAddress(listener.address), let descriptor = parcel.take(0)
            else { throw refusal("it passes on a listener that this version does not understand") }
            listeners.append(
                Inherited(
                    role: listener.role, asked: listener.asked, address: address, descriptor: descriptor.release()))
        }
    }

    /// The socket that it listens on for this address, if there is one.
    func takeListener(_ role: Hearth_Handover_V1_Listener.Role, of address: SocketAddress) -> BoundSocket? {
        let found = listeners.firstIndex {
            $0.role == role && ($0.asked == address.description || $0.address == address)
        }
        guard let found else { return nil }
        let listener = listeners.remove(at: found)
        return BoundSocket(descriptor: Descriptor(owning: listener.descriptor), address: listener.address)
    }

    /// Tells it where its calls go on, and takes its backends, which stand still from then on, and everything else. Once this
    /// returns, it has let go of all of it, or is dead. Throws where it goes on. Also returns what its owner has asked of it, and
    /// what it said last.
    func take(
        callsAt socket: consuming Descriptor
    ) async throws(HostError) -> (
        backends: [PassedBackend], hold: OwnerHold, given: Hearth_Handover_V1_Given
    ) {
        let relay = Parcel(.relay, owning: [socket.release()])
        var backends: [PassedBackend] = []
        var hold = Hearth_Handover_V1_Hold()
        try await send(relay)
        while true {
            let parcel = try await receive()
            guard parcel.kind == .backend else {
                hold = (try? Hearth_Handover_V1_Hold(serializedBytes: parcel.bytes)) ?? hold
                break
            }
            let descriptors = (0..<parcel.descriptorCount).compactMap { parcel.take($0)?.release() }
            backends.append(PassedBackend(bytes: parcel.bytes, owning: descriptors))
        }
        try await send(Parcel(.taken))
        // Where it dies now, it has let go, too.
        let answer = try await next()
        if let answer, answer.kind != .given { throw refusal(of: answer) }
        client.close()
        return (
            backends, OwnerHold(pause: OwnerHold.Pause(rawValue: hold.pause), isDraining: hold.isDraining),
            (try? Hearth_Handover_V1_Given(serializedBytes: answer?.bytes ?? [])) ?? Hearth_Handover_V1_Given()
        )
    }

    /// Returns once it has passed on every call and every turn that somebody may come back for, or is dead.
    func passesCalls() async { _ = try? await next() }

    private func send(_ parcel: Parcel) async throws(HostError) {
        do throws(ParcelError) {
            try await line?.send(parcel, withinMilliseconds: Self.answerMilliseconds)
        } catch {
            throw refusal("\(error)")
        }
    }

    private func receive() async throws(HostError) -> Parcel {
        guard let parcel = try await next() else { throw refusal("it has broken off") }
        if parcel.kind == .farewell { throw refusal(of: parcel) }
        return parcel
    }

    /// Nil: it has closed the socket.
    private func next() async throws(HostError) -> Parcel? {
        do throws(ParcelError) {
            return try await line?.receive(withinMilliseconds: Self.answerMilliseconds)
        } catch {
            throw refusal("\(error)")
        }
    }

    private func refusal(of parcel: Parcel) -> HostError {
        refusal((try? Hearth_Handover_V1_Refusal(serializedBytes: parcel.bytes))?.message ?? "it gives no reason")
    }

    private func refusal(_ why: String) -> HostError {
        HostError("the agent with pid \(pid) does not make way, and goes on: \(why)")
    }
}
