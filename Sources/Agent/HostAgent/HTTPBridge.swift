internal import AdminService
internal import BackendSupervisor
internal import ConsumerAccess
internal import EventLoop
internal import Foundation
internal import GRPC
internal import Glibc
internal import HTTPProtocols
internal import LaunchPlan
internal import LinuxSystem
internal import Logging
internal import SandboxLaunch
internal import SandboxPolicy
internal import Settings
internal import TerminalText

/// The HTTP bridge: a process in a sandbox of its own, which has a listening socket, a socket to the agent, and nothing
/// else. The agent speaks no HTTP/1.1. On the loop.
@IOLoop
final class HTTPBridge {
    /// What the bridge is started with.
    struct Setup: Sendable {
        /// The path of `hearth-bridge`.
        let program: String
        let sandbox: Sandbox
        var settings: BridgeSettings
    }

    /// The address that was asked for, whose port may be 0.
    let asked: SocketAddress
    let address: SocketAddress
    /// What it wrote.
    private(set) var log: BackendLog
    private var lifecycle = BridgeLifecycle()
    /// Why it does not run, or ended last.
    private var detail = ""

    /// What the owner is shown of it.
    var shown: AdminService.Bridge {
        AdminService.Bridge(
            address: address.description, state: lifecycle.phase.name, detail: detail, pid: process?.pid ?? 0,
            restarts: lifecycle.restarts, tier: setup.sandbox.tier.rawValue)
    }

    private var setup: Setup
    /// What the process was told last, and the way to tell it more.
    private var told: BridgeSettings?
    private var line: BridgeLine?
    private let socket: BoundSocket
    /// The socket to the bridge whose place this one takes, until the process has it.
    private var elder: Descriptor?
    private let server: Server
    /// Who may call through it.
    let gate: ListenerGate
    private let logger: Logger
    private var process: BackendProcess?
    private var endWaiters: [CheckedContinuation<Void, Never>] = []

    /// The name of its policy.
    nonisolated private static let policy = "http-bridge"
    /// Its memory, beside its executable.
    nonisolated private static let memoryMebibytes: UInt64 = 1_024
    private static let linesOfPieceMax = 16
    private static let lineBytesMax = 1_024
    nonisolated private static let threads: UInt32 = 2
    /// The connections of its clients, and a few of its own.
    nonisolated private static let descriptorsMax: UInt64 = 1_100

    /// Binds the address, unless its socket is `inherited`; nobody can connect before `start`. `elder`: where the bridge whose
    /// place this one takes has its responses. Consumers of `server` that pass the gate come by the bridge.
    init(
        _ setup: Setup, on address: SocketAddress, inherited: consuming BoundSocket?, elder: consuming Descriptor?,
        server: Server, gate: ListenerGate, logger: Logger
    ) throws(LinuxError) {
        self.setup = setup
        self.server = server
        self.gate = gate
        self.logger = logger
        let limits = SupervisorConfiguration.Limits()
        log = BackendLog(
            bytesMax: limits.logBytesMax, linesMax: limits.logLinesMax, lineBytesMax: limits.logLineBytesMax)
        asked = address
        self.elder = elder
        if let inherited { socket = inherited } else { socket = try Socket.bind(to: address) }
        self.address = socket.address
    }

    /// The listening socket for another bridge on the same address.
    func share() throws(LinuxError) -> BoundSocket {
        BoundSocket(descriptor: try socket.descriptor.duplicate(), address: address)
    }

    /// Where the process has the responses in the background for the next bridge; nil while it does not run.
    func shareResponses() -> Descriptor? { line?.shareResponses() }

    /// Listens, and starts the process.
    func start() throws(LinuxError) {
        try Socket.listen(socket)
        perform(lifecycle.start())
    }

    var settings: BridgeSettings { setup.settings }

    /// New connections get this certificate; those that are open keep theirs.
    func replace(_ tls: BridgeSettings.TLS) {
        setup.settings.tls = tls
        tellSettings()
    }

    /// New requests are held to these.
    func replace(_ settings: BridgeSettings) {
        setup.settings = settings
        gate.requiresKey = settings.requiresKey
        tellSettings()
    }

    private func tellSettings() {
        guard let process, let line, told != setup.settings else { return }
        told = setup.settings
        if !line.send(setup.settings) {
            // It starts again with them.
            logger.warning("the HTTP bridge does not take its settings, and is started again")
            process.kill()
        }
    }

    /// Lets the process finish what it has: it accepts no more, and ends by itself once its answers have left. Its responses in
    /// the background are for who has the socket that `shareResponses` has returned.
    func retire() {
        lifecycle.retire()
        setup.settings.retires = true
        tellSettings()
        line?.leaveResponses()
    }

    /// Returns once it has ended by itself, or ends it after the grace.
    func end(graceMilliseconds: UInt64) async {
        let timer = IOLoop.schedule(afterMilliseconds: graceMilliseconds) { [weak self] in self?.stop() }
        if process != nil { await withCheckedContinuation { endWaiters.append($0) } }
        timer.cancel()
        stop()
    }

    /// Ends the process. Whoever connects afterwards is refused once the agent has ended.
    func stop() { perform(lifecycle.stop()) }

    private func perform(_ action: BridgeLifecycle.Action?) {
        switch action {
        case .launch: launch()
        case .pause(let milliseconds):
            IOLoop.schedule(afterMilliseconds: milliseconds) { [weak self] in
                guard let self else { return }
                perform(lifecycle.pauseEnded())
            }
        case .kill: process?.kill()
        case nil: break
        }
    }

    /// Reads the executable and starts the process, on a thread of its own.
    private func launch() {
        var setup = setup
        var given: [CInt]
        do throws(LinuxError) {
            let listener = try socket.descriptor.duplicate()
            (line, given) = try BridgeLine.make()
            told = setup.settings
            given.insert(listener.release(), at: 0)
        } catch {
            return failed("\(error)")
        }
        if let elder = elder.take() {
            setup.settings.hasElder = true
            given.append(elder.release())
        }
        Task { [setup, given] in
            let result = await withCheckedContinuation { continuation in
                do throws(LinuxError) {
                    try DetachedThread.run {
                        continuation.resume(returning: Result { try Self.launch(setup, given) })
                    }
                } catch {
                    continuation.resume(returning: Result<SandboxedProcess, any Error>.failure(error))
                }
            }
            for raw in given { close(raw) }
            switch result {
            case .success(let handles): begin(handles)
            case .failure(let error): failed("\(error)")
            }
        }
    }

    /// `given`: what the process is handed besides its settings; the caller's to close.
    nonisolated private static func launch(_ setup: Setup, _ given: [CInt]) throws -> SandboxedProcess {
        let path = URL(fileURLWithPath: setup.program)
        let executable = try BackendExecutable.open(
            folder: path.deletingLastPathComponent().path, name: path.lastPathComponent)
        var manifest = BackendManifest(executableName: executable.name)
        manifest.policy = policy
        manifest.memoryMebibytes = memoryMebibytes
        manifest.threads = threads
        let owner = OwnerLimits(threads: threads)
        var plan = try setup.sandbox.plan(executable: executable, manifest: manifest, owner: owner)
        plan.limits.removeAll { $0.resource == .descriptors }
        plan.limits.append(ResourceLimit(.descriptors, descriptorsMax))
        let settings = try Descriptor.memoryFile("settings")
        try settings.writeAll(setup.settings.json)
        try settings.seal()
        // It is read from the descriptor's position, which is its end now.
        lseek(settings.raw, 0, SEEK_SET)
        return try setup.sandbox.launch(
            executable: executable, plan: plan, handOver: [given[0], settings.raw] + given[1...],
            groupLimits: LaunchPlanner.controlGroupLimits(
                manifest, owner, weightBytes: 0, executableBytes: executable.byteCount))
    }

    private func begin(_ handles: SandboxedProcess) {
        do throws(LinuxError) {
            let end = try handles.socket.duplicate()
            let process = try BackendProcess(handles, limits: SupervisorConfiguration.Limits()) { [weak self] in
                self?.wrote($0)
            } denied: { [weak self] call in
                self?.logger.debug("the HTTP bridge was denied a system call", metadata: ["call": "\(call.call)"])
            } exited: { [weak self] process, status in
                self?.exited(process, status)
            }
            self.process = process
            log.beginProcess(process.pid)
            server.serve(end, gate: gate)
            perform(lifecycle.launched(at: .now()))
            // They may have changed since it was begun.
            tellSettings()
        } catch {
            handles.end()
            failed("\(error)")
        }
    }

    private func failed(_ why: String) {
        if detail != why { logger.error("the HTTP bridge does not run: \(why)") }
        detail = why
        perform(lifecycle.ended(at: .now()))
    }

    private func exited(_ process: BackendProcess, _ status: ExitStatus) {
        guard self.process === process else { return }
        self.process = nil
        line = nil
        let waiters = endWaiters
        endWaiters.removeAll()
        for waiter in waiters { waiter.resume() }
        if lifecycle.isKept {
            let why = process.launchFailure.map { "\($0)" } ?? "\(status)"
            logger.warning("the HTTP bridge has ended, and is started again", metadata: ["end": "\(why)"])
            detail = why
            log.note("(has ended: \(why))", at: Self.now)
        }
        perform(lifecycle.ended(at: .now()))
    }

    private static var now: UInt64 { UInt64(Date().timeIntervalSince1970 * 1_000) }

    private func wrote(_ bytes: UnsafeRawBufferPointer) {
        log.append(bytes, at: Self.now)
        // It reads what strangers send, and may be made to say it: the loop tells so much of a piece, and no more.
        let most = Self.linesOfPieceMax
        for line in bytes.split(separator: UInt8(ascii: "\n"), maxSplits: most).prefix(most) {
            logger.info("hearth-bridge: \(printable(line.prefix(Self.lineBytesMax)))")
        }
    }
}

/// The agent's ends of the sockets on which a bridge is told of later settings, and passes its responses on.
private final class BridgeLine {
    private let settings: Descriptor
    private var responses: Descriptor?

    private init(_ settings: consuming Descriptor, _ responses: consuming Descriptor) {
        self.settings = settings
        self.responses = consume responses
    }

    /// With the bridge's ends, whose owner the caller is, in the order of `BridgeSettings.Descriptors`.
    static func make() throws(LinuxError) -> (BridgeLine, given: [CInt]) {
        let settings = try Descriptor.socketPair()
        let responses = try Descriptor.socketPair()
        try settings.first.setNonblocking(true)
        let (ownSettings, givenSettings) = settings.take { ($0.release(), $1.release()) }
        let (ownResponses, givenResponses) = responses.take { ($0.release(), $1.release()) }
        let line = BridgeLine(Descriptor(owning: ownSettings), Descriptor(owning: ownResponses))
        return (line, [givenSettings, givenResponses])
    }

    /// Whether the socket's buffer took all of it: a bridge that reads leaves it empty.
    func send(_ settings: BridgeSettings) -> Bool {
        let json = settings.json
        let bytes = withUnsafeBytes(of: UInt32(json.count).bigEndian) { Array($0) } + json
        let sent = bytes.withUnsafeBytes { bytes in try? Socket.send(self.settings.raw, bytes) }
        return sent == .moved(bytes.count)
    }

    func shareResponses() -> Descriptor? {
        guard let own = responses.take() else { return nil }
        let shared = try? own.duplicate()
        responses = consume own
        return shared
    }

    func leaveResponses() { responses = nil }
}
