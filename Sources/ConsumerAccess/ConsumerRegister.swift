package import EventLoop
internal import Foundation
package import GRPC
internal import TLSSession

/// The tokens in force and the consumers that use them, for every listener of an agent. On the loop.
@IOLoop
package final class ConsumerRegister {
    private var book: TokenBook
    /// By the digest of their secret: a token that was revoked and made anew under its name is another one.
    private var consumers: [String: Consumer] = [:]

    package init(_ book: TokenBook) { self.book = book }

    package var tokenCount: Int { book.tokens.count }

    /// From now on these are the tokens. Calls of those that are gone end UNAUTHENTICATED.
    package func replace(_ book: TokenBook) {
        self.book = book
        let current = Dictionary(book.tokens.map { ($0.sha256, $0) }, uniquingKeysWith: { $1 })
        for (digest, consumer) in consumers {
            if let token = current[digest] {
                consumer.update(token)
            } else {
                consumers[digest] = nil
                consumer.revoke()
            }
        }
    }

    /// The consumer that brings this secret. Throws UNAUTHENTICATED when its token is not known or has expired.
    func consumer(_ secret: TokenSecret) throws(Status) -> Consumer {
        guard let token = book.token(of: secret) else { throw AccessRefusal.unknown }
        try AccessRefusal.check(token, at: Date())
        if let known = consumers[token.sha256] { return known }
        let consumer = Consumer(token)
        consumers[token.sha256] = consumer
        return consumer
    }
}

/// Who may call on one listener. A token is asked for where the listener requires one, and looked at wherever one is sent.
@IOLoop
package final class ListenerGate: CallGate {
    private let register: ConsumerRegister
    private let requiresToken: Bool
    /// All may call where no token is asked for.
    package var namesCallers: Bool { requiresToken }
    private let clientSubjects: Set<String>

    /// `clientSubjects`: the only names of client certificates that may call; empty: all that an authority vouches for.
    package init(_ register: ConsumerRegister, requiresToken: Bool, clientSubjects: [String] = []) {
        self.register = register
        self.requiresToken = requiresToken
        self.clientSubjects = Set(clientSubjects)
    }

    package func admit(_ call: ServerCall) throws(Status) -> (any Caller)? {
        // Load balancers ask without a token, and learn which models there are and whether to send calls here.
        if call.path.hasPrefix("/grpc.health.v1.Health/") { return nil }
        if !clientSubjects.isEmpty {
            let names = call.peerCertificate?.names ?? []
            guard !clientSubjects.isDisjoint(with: names) else { throw AccessRefusal.subject(names) }
        }
        let headers = call.metadata.entries.filter { $0.key == "authorization" }
        guard let first = headers.first else {
            if requiresToken { throw AccessRefusal.missing }
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
