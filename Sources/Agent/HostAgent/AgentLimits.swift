internal import BackendSupervisor
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import GRPCServices
internal import InferenceService
internal import LimitDeclaration
internal import TraceExport

/// Every limit of an agent, in the order in which `hearth limits` shows them.
struct AgentLimits: LimitGroup {
    let descriptors: DescriptorBudget
    let loop = IOLoop.limits
    /// The limits of the server that consumers connect to.
    let consumers: Limits
    let inference = InferenceLimits()
    let services = GRPCServicesLimits.inForce
    let access = AccessLimits.inForce
    let backends = SupervisorConfiguration.Limits()
    let tracing = TracingLimits.inForce
}
