internal import LinuxSystem
internal import TLSSession

/// The bytes under a connection: a socket, with TLS on it or not. Owns both.
struct Transport: ~Copyable {
    /// The result of a step.
    enum Step: Equatable {
        case moved(Int)
        case wouldBlock
        case ended
    }

    let socket: Descriptor
    /// The context with which the first step of the handshake begins TLS: before a connection's turn, TLS costs
    /// nothing.
    private var unbegun: TLSContext?
    private var tls: TLSSession?
    /// Whether bytes may be moved: where TLS is used, none are before its handshake, even if the connection asks for
    /// it.
    private var isReady: Bool

    init(socket: consuming Descriptor, tls: TLSContext?) {
        unbegun = tls
        isReady = tls == nil
        self.socket = socket
    }

    /// The client's certificate, once the handshake is over.
    var peerCertificate: PeerCertificate? { tls?.peerCertificate }

    /// KeyUpdate messages of TLS that came since this was last asked.
    func takeKeyUpdates() -> Int { tls?.takeKeyUpdates() ?? 0 }

    /// TLS holds bytes that epoll will not announce.
    var hasPending: Bool { tls?.hasPending ?? false }

    /// What the handshake waits for, nil once it is over.
    mutating func handshake() throws(ConnectionFailure) -> Readiness? {
        guard !isReady else { return nil }
        do throws(TLSError) {
            if let context = unbegun {
                tls = try TLSSession(context, on: socket)
                unbegun = nil
            }
            guard let tls else { return nil }
            switch try tls.handshake() {
            case .moved:
                isReady = true
                return nil
            case .wantWrite: return .writable
            case .wantRead: return .readable
            case .ended: throw TLSError(.peer, "TLS handshake: the connection was closed in the middle of it")
            }
        } catch {
            throw ConnectionFailure(.security, error.description)
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(ConnectionFailure) -> Step {
        guard isReady else { return .wouldBlock }
        guard let tls else {
            do throws(LinuxError) {
                switch try Socket.receive(socket.raw, into: buffer) {
                case .moved(let count): return .moved(count)
                case .wouldBlock: return .wouldBlock
                case .ended: return .ended
                }
            } catch {
                throw ConnectionFailure(.lost, error.description)
            }
        }
        do throws(TLSError) {
            switch try tls.read(into: buffer) {
            case .moved(let count): return .moved(count)
            case .wantRead, .wantWrite: return .wouldBlock
            case .ended: return .ended
            }
        } catch {
            throw ConnectionFailure(.lost, error.description)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ConnectionFailure) -> Step {
        guard isReady else { return .wouldBlock }
        guard let tls else {
            do throws(LinuxError) {
                switch try Socket.send(socket.raw, bytes) {
                case .moved(let count): return .moved(count)
                case .wouldBlock, .ended: return .wouldBlock
                }
            } catch {
                throw ConnectionFailure(.lost, error.description)
            }
        }
        do throws(TLSError) {
            switch try tls.write(bytes) {
            case .moved(let count): return .moved(count)
            case .wantRead, .wantWrite, .ended: return .wouldBlock
            }
        } catch {
            throw ConnectionFailure(.lost, error.description)
        }
    }

    /// Ends the sending direction; the descriptor is closed with the value.
    func finish() {
        if isReady { tls?.close() }
        Socket.shutdownSending(socket.raw)
    }
}
