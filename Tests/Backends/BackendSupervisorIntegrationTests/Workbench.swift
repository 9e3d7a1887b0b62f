import BackendIPC
import ByteBuffer
import EventLoop
import Foundation
import InferenceMessages
import LaunchPlan
import LinuxSystem
import Logging
import SandboxLaunch
import SandboxPolicy
import SwiftProtobuf
import TestPlaces
import Testing
import WireFormat

@testable import BackendSupervisor

/// A backends folder of a test's own and a supervisor over it. Its processes are ended by `close`.
@IOLoop
final class Workbench {
    private let place: TemporaryFolder
    /// Whether the folder goes with it.
    private let ownsPlace: Bool
    var folder: String { place.path }
    let supervisor: Supervisor
    /// Everything that was told of any backend, for the test that fails.
    private(set) var story: [String] = []
    private var waiting: [Waiting] = []

    private struct Waiting {
        let condition: @IOLoop () -> Bool
        let timer: EventLoop.Timer
        let continuation: CheckedContinuation<Void, Never>
    }

    /// Without a sandbox, unless one is asked for: then exactly as the agent does it.
    /// - Parameter other: whose folder it works over, too; nil: over one of its own.
    init(
        over other: Workbench? = nil, sandboxed: Bool = false, policies: String = Repository.policies,
        starter: any BackendStarter = PlainStarter(),
        hostSettings: [String] = HostSettings.paths,
        _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        configured: (inout SupervisorConfiguration) -> Void = { _ in }
    ) throws {
        place = other?.place ?? TemporaryFolder()
        ownsPlace = other == nil
        var configuration = SupervisorConfiguration(
            backendsDirectory: place.path, policiesDirectory: policies, launcherPath: Built.path("hearth-sandbox"),
            host: .find(claimingControlGroups: false),
            owner: OwnerLimits(threads: 1))
        configuration.hostSettings = hostSettings
        configuration.limits.settledMilliseconds = 0
        configuration.limits.weightsSettledMilliseconds = 0
        configuration.limits.rescanMilliseconds = 0
        configuration.limits.backoffFirstMilliseconds = 10
        adjust(&configuration.limits)
        configured(&configuration)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        supervisor =
            sandboxed
            ? Supervisor(configuration: configuration, logger: logger)
            : Supervisor(configuration: configuration, logger: logger, starter: starter)
        supervisor.onChange = { [weak self] backend in
            guard let self else { return }
            story.append("\(backend.name)/\(backend.model): \(backend.state.rawValue) \(backend.detail)")
            check()
        }
    }

    func close() async {
        await supervisor.stop(graceMilliseconds: 0)
        if ownsPlace { place.remove() }
    }

    /// Closes it whatever happens in the body.
    func use(_ body: @IOLoop (Workbench) async throws -> Void) async throws {
        do {
            try await body(self)
        } catch {
            await close()
            throw error
        }
        await close()
    }

    /// Waits until it holds; looked at whenever a backend or a sequence changes. Tells the whole story when it never
    /// comes to hold, and lets the test go on to its failure.
    func until(_ condition: @escaping @IOLoop () -> Bool, at location: SourceLocation = #_sourceLocation) async {
        if condition() { return }
        await withCheckedContinuation { continuation in
            let timer = IOLoop.schedule(afterMilliseconds: 30_000) { [self] in
                Issue.record("not within 30 s; so far: \(story)", sourceLocation: location)
                let all = waiting
                waiting = []
                for waiter in all { waiter.continuation.resume() }
            }
            waiting.append(Waiting(condition: condition, timer: timer, continuation: continuation))
        }
    }

    func check() {
        let met = waiting.filter { $0.condition() }
        waiting.removeAll { waiter in met.contains { $0.timer == waiter.timer } }
        for waiter in met {
            waiter.timer.cancel()
            waiter.continuation.resume()
        }
    }

    /// Starts the supervisor and waits until its one backend is in that state.
    func start(until state: ManagedBackend.State = .ready) async throws -> ManagedBackend {
        try supervisor.start()
        guard let backend = supervisor.backends.first else { throw SupervisorError("no backend was found") }
        await until { backend.state == state || backend.state == .failed }
        if backend.state == .failed, state != .failed { throw SupervisorError("the backend \(backend.detail)") }
        return backend
    }

    func collect() -> Collector { Collector(bench: self) }
}

extension Supervisor {
    /// The one that serves a model.
    func backend(model: String) -> ManagedBackend? { models[model]?.backend }
}

// What lies in the folder.
extension Workbench {
    /// Puts the echo backend there, under a name and with a manifest.
    func addEcho(_ name: String = "echo", manifest: String? = nil) throws {
        try add("echo", as: name, manifest: manifest)
    }

    /// Puts a built executable there, in the place of what has that name.
    func add(_ product: String, as name: String, manifest: String? = nil) throws {
        if let manifest { try write("\(name).json", manifest) }
        // Copied aside and moved in, as a careful owner does it.
        try FileManager.default.copyItem(atPath: Built.path(product), toPath: "\(folder)/.\(name)")
        chmod("\(folder)/.\(name)", 0o755)
        rename("\(folder)/.\(name)", "\(folder)/\(name)")
    }

    /// Puts a shell script there, which only an unsandboxed launch runs.
    func addScript(_ text: String, as name: String = "script") throws {
        try write(name, "#!/bin/sh\n" + text)
        chmod("\(folder)/\(name)", 0o755)
    }

    /// Puts a backend there that says these messages and then does as the shell is told.
    func addScript(saying messages: [BackendMessage], then text: String) throws {
        var frames = ByteQueue()
        for message in messages { message.appendFrame(to: &frames) }
        try Data(frames.bytes).write(to: URL(fileURLWithPath: "\(folder)/.frames"))
        try addScript("cat '\(folder)/.frames' >&3\n" + text)
    }

    /// Puts a script there that plays a launcher: it says this where only a launcher can, and exits as one does.
    func addLauncher(saying failure: LaunchFailure) throws {
        let report = KeeperReport.failed(reason: failure.reason, isTransient: failure.isTransient)
        try addLauncher(saying: [report.encoded()], then: "exit \(LauncherStatus.failed)")
    }

    /// Puts a script there that plays a keeper: it sends these datagrams and then does as the shell is told.
    func addLauncher(saying datagrams: [[UInt8]], then text: String) throws {
        try write("weights", "abc")
        try write("script.json", #"{"models": [{"id": "script", "file": "weights"}]}"#)
        var lines = ""
        for (number, datagram) in datagrams.enumerated() {
            let file = "\(folder)/.datagram\(number)"
            try Data(datagram).write(to: URL(fileURLWithPath: file))
            lines += "cat '\(file)' >&\(GivenDescriptor.keeper)\n"
        }
        try addScript(lines + text)
    }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        chmod("\(folder)/\(name)", 0o644)
    }

    func remove(_ name: String) { unlink("\(folder)/\(name)") }
}

/// What one sequence received.
@IOLoop
final class Collector: SequenceHandler {
    private let bench: Workbench
    private(set) var tokens: [UInt32] = []
    private(set) var text: [UInt8] = []
    private(set) var finish: Finish?
    private(set) var loss: SequenceLoss?
    var lossReason: String? { loss?.reason }
    /// Called with each run's number of tokens.
    var onTokens: (@IOLoop (Int) -> Void)?
    /// How often an end was told.
    private(set) var ends = 0

    init(bench: Workbench) { self.bench = bench }

    func received(_ run: TokenRunView) {
        tokens += run.tokenIDs
        text += run.text
        onTokens?(run.tokenCount)
        bench.check()
    }

    func finished(_ finish: Finish) {
        self.finish = finish
        ends += 1
        bench.check()
    }

    func lost(_ loss: SequenceLoss) {
        self.loss = loss
        ends += 1
        bench.check()
    }
}

/// Starts a backend without any sandbox: for tests of the supervisor alone. The agent has nothing like it.
struct PlainStarter: BackendStarter {
    func launch(_ definition: BackendDefinition, weights: ModelWeights?) throws -> SandboxedProcess {
        let null = try Descriptor.open("/dev/null", O_RDONLY)
        let sockets = try Descriptor.socketPair()
        let log = try Descriptor.pipe()
        let keeper = try Socket.datagramPair()
        try sockets.first.setNonblocking(true)
        try log.first.setNonblocking(true)
        let handOver =
            weights.map { [keeper.second.raw, null.raw, null.raw, null.raw] + $0.descriptors }
            ?? []
        let descriptors = [null.raw, log.second.raw, log.second.raw, sockets.second.raw] + handOver
        let pid = try Self.spawn(definition, descriptors)
        return SandboxedProcess(
            process: try ProcessHandle(child: pid), socket: sockets.takeFirst(), log: log.takeFirst(),
            keeper: keeper.takeFirst(), group: nil)
    }

    /// A process that another test has forked just now may still hold the file open that was written before: then it
    /// cannot be executed yet (execve(2), ETXTBSY). The sandbox executes a copy, which nobody has open.
    private static func spawn(_ definition: BackendDefinition, _ descriptors: [CInt]) throws -> CInt {
        while true {
            let spawned = Result { () throws(LinuxError) in
                try ProcessSpawn.spawn(
                    definition.path, arguments: [definition.name], environment: ["PATH=/usr/bin:/bin"],
                    descriptors: descriptors)
            }
            guard case .failure(let error) = spawned, error.code == ETXTBSY else { return try spawned.get() }
            sched_yield()
        }
    }
}

/// A folder of policies of a test's own, removed with its last reference.
struct PolicyPlace {
    private let folder = TemporaryFolder()
    var path: String { folder.path }

    /// The text of the shipped policy `strict`.
    static func strict() throws -> String {
        try String(contentsOfFile: Repository.policies + "/strict.json", encoding: .utf8)
    }

    func remove() { folder.remove() }

    func write(_ name: String, _ text: String) { folder.write("\(name).json", text) }

    func remove(_ name: String) { folder.remove("\(name).json") }
}

/// A request in the form in which it is passed on.
func request(
    _ text: String = "a b c", maxTokens: UInt32 = 10, options: [String: String] = [:]
) throws -> [UInt8] {
    var request = Hearth_V1_GenerateRequest()
    request.text = text
    request.stopping.maxTokens = maxTokens
    request.sampling.seed = 7
    request.backendOptions = options
    return try request.serializedBytes()
}
