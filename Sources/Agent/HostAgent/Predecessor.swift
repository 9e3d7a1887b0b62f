internal import GRPC
internal import Glibc
internal import InferenceMessages
internal import LinuxSystem
internal import Settings
internal import SwiftProtobuf

/// The running agent that is to make way for this one, reached on its owner's socket, which stays open until it has
/// answered. While this object exists, no other agent can take over from that one.
final class Predecessor: Sendable {
    let pid: Int32
    /// The models that it can serve now.
    let readyModels: Set<String>
    private let client: Client
    /// A file of the state folder, locked with flock(2).
    private let lock: Descriptor

    private init(_ status: Hearth_Admin_V1_Status, client: Client, lock: consuming Descriptor) {
        pid = status.pid
        readyModels = Set(status.backends.filter { $0.state == "ready" }.map(\.model))
        self.client = client
        self.lock = lock
    }

    /// The agent at this address; nil when none answers. Throws when another one is just taking over from it.
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
            guard status.hold.pause.isEmpty else {
                throw HostError(
                    "the agent with pid \(status.pid) is paused, so its streams cannot end: first let it go on with "
                        + "'hearth resume', or end it with 'hearth stop'")
            }
            return Predecessor(status, client: client, lock: lock)
        } catch let error as HostError {
            throw error
        } catch {
            throw HostError("the agent at \(address) does not say how it is: \(Status(describing: error).message)")
        }
    }

    /// Tells it that this process serves from now on; returns the number of its open calls.
    func handOver() async throws(HostError) -> UInt32 {
        do {
            let answer: Hearth_Admin_V1_HandOverResponse = try await client.unary(
                "/hearth.admin.v1.Admin/HandOver", Hearth_Admin_V1_HandOverRequest.with { $0.successorPid = getpid() })
            await client.close()
            return answer.openCalls
        } catch {
            throw HostError(
                "the agent with pid \(pid) does not make way (\(Status(describing: error).message)): end it by hand")
        }
    }
}
