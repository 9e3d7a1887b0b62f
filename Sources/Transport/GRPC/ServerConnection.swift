internal import EventLoop
internal import HTTP2Connection
internal import LinuxSystem
internal import TLSSession

/// One of a server's connections, with the server's state for it.
///
/// Owned by the server until it has closed, and by its calls. The server has the state of all connections together.
@IOLoop
final class ServerConnection {
    let server: Server
    /// Nil once it has closed: a call whose handler goes on does not keep the socket.
    private(set) var http2: HTTP2Connection?
    /// The gate that every call must pass; nil: there is none.
    let gate: (any CallGate)?
    var account: ConnectionAccount
    /// It closes at the end of this turn, and no longer counts in the server's sums. This is not derived from the life
    /// of `http2`, which ends for other reasons too: a connection must be taken out of the sums exactly once, where
    /// they change.
    var isLeaving = false
    /// Set while it is not read, until its caller has steps again.
    var heldUp: StepsTicket?
    /// Its place among those whose TLS handshake waits for its turn.
    var handshake: HandshakeLine<ServerConnection>.Ticket?
    /// Calls whose compressed messages have to wait, the longest-waiting first.
    var undecompressed: [ServerCall] = []
    var isDecompressionScheduled = false

    init(_ http2: HTTP2Connection, of server: Server, gate: (any CallGate)?, account: ConnectionAccount) {
        self.http2 = http2
        self.server = server
        self.gate = gate
        self.account = account
    }

    /// The caller that opened it: the subject of its certificate, once that is known, else the peer's address or user.
    var callerID: CallerID { account.caller }

    /// The bytes that its peer makes the server hold.
    var heldBytes: Int { (http2?.heldBytes ?? 0) + account.messageBytes }
}

extension ServerConnection: HTTP2ConnectionHandler {
    func opened(_ connection: HTTP2Connection) {
        // From here on the certificate's subject is known, and calls can come.
        if let subject = connection.peerCertificate.flatMap({ CallerID.subject($0.names) }) {
            account.caller = subject
            connection.workSource = subject
        }
        if let reason = server.drainReason { connection.drain(reason) }
    }

    func met(_ limit: HTTP2Limits.Name) { server.noteLimit(limit.rawValue) }

    func awaitHandshake(of connection: HTTP2Connection) { server.awaitHandshake(of: self) }

    func worked(_ steps: Int, for connection: HTTP2Connection) -> Bool { server.worked(steps, for: self) }

    func closed(_ connection: HTTP2Connection, _ failure: ConnectionFailure) {
        http2 = nil
        server.closed(self, connection, failure)
    }

    func received(
        request: [HTTP2Header], tooLarge: Bool, on stream: HTTP2Stream, of connection: HTTP2Connection
    ) {
        connection.charge(WorkSteps.perCall)
        do throws(RequestHead.Rejection) {
            let head = try RequestHead(request, tooLarge: tooLarge, limits: server.limits.http2)
            let call = ServerCall(head, stream: stream, http2: connection, connection: self)
            do throws(Status) {
                call.caller = try gate?.admit(call)
                if let caller = call.caller {
                    call.callerID = caller.id
                    server.charge(WorkSteps.perCall, to: caller.id)
                }
                call.keepsConnection = call.caller != nil || gate?.namesCallers != true
            } catch {
                throw .status(error)
            }
            do throws(RequestHead.Rejection) {
                call.start(try server.method(for: head))
            } catch {
                call.caller?.callEnded(call)
                throw error
            }
        } catch {
            server.reject(stream, error)
        }
    }
}
