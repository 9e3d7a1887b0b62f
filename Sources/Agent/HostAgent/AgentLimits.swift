internal import BackendSupervisor
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import GRPCServices
internal import HandOver
internal import InferenceService
internal import LimitDeclaration
internal import Settings
internal import TraceExport

/// Every limit of an agent, in the order in which `hearth limits` shows them.
struct AgentLimits: LimitGroup {
    let descriptors: DescriptorBudget
    let loop = IOLoop.limits
    /// The limits of the server that consumers connect to.
    private(set) var consumers: Limits
    let inference = InferenceLimits()
    let services = GRPCServicesLimits.inForce
    let access = AccessLimits.inForce
    let backends = SupervisorConfiguration.Limits()
    let tracing = TracingLimits.inForce
    let upgrades = UpgradeLimits.inForce
    let holder: HeldLimits

    init(descriptors: DescriptorBudget, times: ConnectionTimes) {
        self.descriptors = descriptors
        holder = HeldLimits(descriptorLimit: UInt64(descriptors.descriptorsReserved))
        consumers = descriptors.consumers(times.limits)
    }

    /// The same where consumers' connections live for other times.
    func changed(by times: ConnectionTimes) -> AgentLimits {
        var limits = self
        limits.consumers = descriptors.consumers(times.limits)
        return limits
    }
}
