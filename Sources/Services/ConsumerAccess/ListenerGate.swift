package import EventLoop
package import GRPC
internal import TLSSession

/// Decides who may call on one listener. A key is required if the listener says so, and checked whenever one is sent.
@IOLoop
package final class ListenerGate: CallGate {
    private let register: ConsumerRegister
    private let requiresKey: Bool
    /// Without a required key every client may call, unnamed.
    package var namesCallers: Bool { requiresKey }
    private let clientSubjects: Set<String>

    /// `clientSubjects`: the only names of client certificates that may call; empty: all that an authority vouches for.
    package init(_ register: ConsumerRegister, requiresKey: Bool, clientSubjects: [String] = []) {
        self.register = register
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
        let headers = call.metadata.entries.filter { $0.key == "authorization" }
        guard let first = headers.first else {
            if requiresKey { throw AccessRefusal.missing }
            return nil
        }
        guard headers.count == 1, case .ascii(let text) = first.value, let secret = AccessRefusal.secret(in: text)
        else {
            throw AccessRefusal.malformed
        }
        let consumer = try register.consumer(secret)
        try consumer.begin(call)
        return consumer
    }
}
