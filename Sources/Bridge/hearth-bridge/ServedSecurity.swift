internal import Glibc
internal import HTTPProtocols
internal import LinuxSystem
internal import Synchronization
internal import TLSSession

/// TLS for new connections, where requests may come from, and whether they need a key. These change when the certificate is
/// renewed, or the owner changes settings.
final class ServedSecurity: Sendable {
    /// TLS for new connections.
    struct TLS: Sendable {
        let context: TLSContext
        let clientSubjects: Set<String>
    }

    private struct State {
        let tls: TLS?
        let origin: RequestOrigin
        let requiresKey: Bool
        var retires = false
    }

    private let state: Mutex<State>
    private let retirement = Mutex<[@Sendable () -> Void]>([])

    var tls: TLS? { state.withLock { $0.tls } }
    var origin: RequestOrigin { state.withLock { $0.origin } }
    var requiresKey: Bool { state.withLock { $0.requiresKey } }
    /// Whether another bridge accepts the connections.
    var retires: Bool { state.withLock { $0.retires } }

    /// Throws for a certificate that cannot be served.
    init(_ settings: BridgeSettings) throws(TLSError) { state = Mutex(try Self.read(settings)) }

    /// Takes over the certificate, and with it the names of this host, and all else.
    func take(_ settings: BridgeSettings) throws(TLSError) {
        var read = try Self.read(settings)
        read.retires = settings.retires
        state.withLock { $0 = read }
        guard settings.retires else { return }
        let bodies = retirement.withLock { bodies in
            defer { bodies = [] }
            return bodies
        }
        for body in bodies { body() }
    }

    /// Calls back once another bridge accepts the connections.
    func whenRetired(_ body: @escaping @Sendable () -> Void) {
        let isLate = retirement.withLock { bodies in
            guard !retires else { return true }
            bodies.append(body)
            return false
        }
        if isLate { body() }
    }

    private static func read(_ settings: BridgeSettings) throws(TLSError) -> State {
        guard let tls = settings.tls else {
            return State(
                tls: nil, origin: RequestOrigin(names: settings.names, origins: settings.origins),
                requiresKey: settings.requiresKey)
        }
        func pem(_ text: String, _ name: String) -> PEMText { PEMText(Array(text.utf8), name: name) }
        let context = try TLSContext(
            server: ServerIdentity(
                certificateChain: pem(tls.certificateChain, "of this host"),
                privateKey: pem(tls.privateKey, "of this host"),
                clientAuthorities: tls.clientAuthorities.map { pem($0, "as given") }, acceptsTLS12: tls.acceptsTLS12),
            speaking: .http1)
        let names = context.certificateNames?.alternativeNames ?? []
        return State(
            tls: TLS(context: context, clientSubjects: Set(tls.clientSubjects)),
            origin: RequestOrigin(names: settings.names + names, origins: settings.origins),
            requiresKey: settings.requiresKey)
    }
}

/// The settings that the agent sends while the bridge runs.
enum LaterSettings {
    /// Reads them on a thread of its own, to the socket's end, and hands each to `take`.
    static func follow(
        _ socket: consuming Descriptor, take: @escaping @Sendable (BridgeSettings) throws -> Void
    ) throws(LinuxError) {
        let raw = socket.release()
        try DetachedThread.run {
            let socket = Descriptor(owning: raw)
            do {
                while let length = try bytes(4, socket) {
                    let count = length.reduce(0) { $0 << 8 | Int($1) }
                    guard count <= BridgeSettings.bytesMax, let json = try bytes(count, socket) else { return }
                    try take(BridgeSettings(json: json))
                }
            } catch {
                tell("the settings stay as they are: \(error)")
            }
        }
    }

    /// Nil: the socket has ended.
    private static func bytes(_ count: Int, _ socket: borrowing Descriptor) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var read = 0
        while read < count {
            let step = try bytes.withUnsafeMutableBytes { buffer in
                try Socket.receive(socket.raw, into: UnsafeMutableRawBufferPointer(rebasing: buffer[read...]))
            }
            switch step {
            case .moved(let moved): read += moved
            case .wouldBlock, .ended: return nil
            }
        }
        return bytes
    }
}
