internal import GRPC
internal import Glibc
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf

/// The agent that runs already and is to make way for this one; reached on its owner's socket, which it keeps open until
/// it has answered.
struct Predecessor: Sendable {
    let pid: Int32
    /// The models that it can serve now.
    let readyModels: Set<String>
    private let client: Client

    /// Nil when no agent answers at this address.
    static func find(at address: SocketAddress) async throws(HostError) -> Predecessor? {
        guard let client = try? await Client.connect(to: address) else { return nil }
        do {
            let status: Hearth_Admin_V1_Status = try await client.unary(
                "/hearth.admin.v1.Admin/GetStatus", Hearth_Admin_V1_GetStatusRequest())
            let ready = status.backends.filter { $0.state == "ready" }.map(\.model)
            return Predecessor(pid: status.pid, readyModels: Set(ready), client: client)
        } catch {
            throw HostError("the agent at \(address) does not say how it is: \(Status(describing: error).message)")
        }
    }

    /// Tells it that this process serves from now on; returns how many calls it still has to end.
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
