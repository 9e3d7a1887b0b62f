package import EventLoop
package import GRPC
internal import TLSSession

/// Decides who may call on one listener. A key is required if the listener says so, and checked whenever one is sent. The
/// owner's service always asks for an owner's key, which opens nothing else.
@IOLoop
package final class ListenerGate: CallGate {
    private let register: ConsumerRegister
    /// Whether new calls need a key; those that are open go on.
    package var requiresKey: Bool
    /// Without a required key every client may call, unnamed.
    package var namesCallers: Bool { requiresKey }
    private let clientSubjects: Set<String>
    /// What paths of the owner's service begin with; nil: it is not served here.
    private let ownersPaths: String?

    /// `ownersService`: the name of the service that asks for an owner's key; nil: this listener does not serve it.
    /// `clientSubjects`: the only names of client certificates that may call; empty: all that an authority vouches for.
    package init(
        _ register: ConsumerRegister, requiresKey: Bool, ownersService: String? = nil, clientSubjects: [String] = []
    ) {
        self.register = register
        ownersPaths = ownersService.map { "/\($0)/" }
        self.requiresKey = requiresKey
        self.clientSubjects = Set(clientSubjects)
    }

    package func admit(_ call: ServerCall) throws(Status) -> (any Caller)? {
        // Load balancers check health without a key; they learn which models there are and whether to send calls here.
        if call.path.hasPrefix("/grpc.health.v1.Health/") { return nil }
        if !clientSubjects.isEmpty {
            let names = call.peerCertificate?.names ?? []
            guard !clientSubjects.isDisjoint(with: names) else { throw AccessRefusal.subject(names) }
        }
        let isOwners = ownersPaths.map(call.path.hasPrefix) ?? false
        let headers = call.metadata.entries.filter { $0.key == "authorization" }
        guard let first = headers.first else {
            if isOwners { throw AccessRefusal.ownersMissing }
            if requiresKey { throw AccessRefusal.missing }
            return nil
        }
        guard headers.count == 1, case .ascii(let text) = first.value, let secret = AccessRefusal.secret(in: text)
        else {
            throw AccessRefusal.malformed
        }
        let consumer = try register.consumer(secret)
        try AccessRefusal.check(consumer.key, isOwners: isOwners)
        try consumer.begin(call, resumes: call.path == "/hearth.v1.Inference/Resume")
        return consumer
    }
}
