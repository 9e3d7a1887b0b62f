internal import ArgumentParser
internal import BackendSupervisor
internal import Foundation
internal import InferenceMessages
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy
internal import SwiftProtobuf

/// What the sandbox costs: a start next to bubblewrap's, a system call and a token next to the same without the filter.
/// Everything is interleaved, so that what else the machine does meets both sides.
struct SandboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox", abstract: "Measure starts, system calls and tokens in the sandbox; not as root.")

    @Option(help: "hearth-sandbox.")
    var launcher: String
    @Option(help: "sandbox-ablation, which leaves layers out.")
    var ablation: String
    @Option(help: "The folder of policies.")
    var policies: String
    @Option(help: "The folder of backends, with echo and perhaps llama.")
    var backends: String
    @Option(help: "sandbox-probe.")
    var probe: String
    @Option(help: "Rounds.")
    var runs = 40

    mutating func run() async throws {
        var figures = SandboxFigures()
        try starts(&figures)
        try calls(&figures)
        if FileManager.default.isExecutableFile(atPath: "\(backends)/llama") { try await tokens(&figures) }
        try Measurement.print(figures)
    }

    private func sandbox(_ path: String, without: SandboxLayers = []) -> Sandbox {
        var sandbox = Sandbox(
            launcherPath: path, policiesDirectory: policies, tier: .full, host: .find(claimingControlGroups: false))
        if !without.isEmpty { sandbox.laidOpen = .init(without: without) }
        return sandbox
    }

    // MARK: A start, from the spawn to echo's Hello

    private func starts(_ figures: inout SandboxFigures) throws {
        let full = sandbox(launcher)
        let manifest = BackendManifest(executableName: "echo")
        let owner = OwnerLimits(threads: 1)
        let filter = try BubblewrapStart.filter(policies: policies)
        let hasBubblewrap = FileManager.default.isExecutableFile(atPath: BubblewrapStart.path)
        var (prepared, ours, theirs): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<runs {
            var begun = Monotonic.now()
            let echo = try BackendExecutable.open(folder: backends, name: "echo")
            let plan = try full.plan(executable: echo, manifest: manifest, owner: owner)
            prepared.append(begun.milliseconds)
            begun = .now()
            let launched = try full.launch(executable: echo, plan: plan)
            try awaitByte(launched.socket.raw)
            ours.append(begun.milliseconds)
            launched.process.kill()
            _ = launched.process.waitForExit()
            if hasBubblewrap {
                begun = .now()
                let started = try BubblewrapStart("\(backends)/echo", filter: filter)
                try awaitByte(started.socket.raw)
                theirs.append(begun.milliseconds)
                started.end()
            }
        }
        figures.startMilliseconds = ours.median
        figures.prepareMilliseconds = prepared.median
        figures.bubblewrapMilliseconds = hasBubblewrap ? theirs.median : nil
    }

    private func awaitByte(_ socket: CInt) throws {
        guard try Poll.wait(socket, for: .readable, nanoseconds: 5_000_000_000).contains(.readable) else {
            throw BenchError("no Hello within 5 s")
        }
    }

    // MARK: A system call

    private func calls(_ figures: inout SandboxFigures) throws {
        var (with, without): ([Double], [Double]) = ([], [])
        for _ in 0..<max(3, runs / 8) {
            with.append(try nanosecondsPerCall(sandbox(launcher)))
            without.append(try nanosecondsPerCall(sandbox(ablation, without: [.seccomp, .execOnce])))
        }
        figures.callNanoseconds = with.median
        figures.callNanosecondsWithoutFilter = without.median
    }

    private func nanosecondsPerCall(_ sandbox: Sandbox) throws -> Double {
        let file = URL(fileURLWithPath: probe)
        let program = try BackendExecutable.open(
            folder: file.deletingLastPathComponent().path, name: file.lastPathComponent)
        var plan = try sandbox.plan(
            executable: program, manifest: BackendManifest(executableName: program.name),
            owner: OwnerLimits(threads: 1))
        plan.arguments += ["calls", "100000"]
        let launched = try sandbox.launch(executable: program, plan: plan)
        try launched.log.setNonblocking(false)
        let text = try FileBytes.read(launched.log, max: 4096, name: "the probe's output")
        _ = launched.process.waitForExit()
        guard let figure = Double(String(decoding: text, as: UTF8.self).filter { $0 != "\n" }) else {
            throw BenchError("sandbox-probe said: \(String(decoding: text, as: UTF8.self))")
        }
        return figure
    }

    // MARK: A token of llama

    private func tokens(_ figures: inout SandboxFigures) async throws {
        var (with, without): ([Double], [Double]) = ([], [])
        // More pairs than of anything else: what is looked for is a part of a hundredth.
        for _ in 0..<runs * 4 {
            with.append(try await tokensPerSecond(sandbox(launcher)))
            without.append(try await tokensPerSecond(sandbox(ablation, without: [.seccomp, .execOnce])))
        }
        figures.llamaTokensPerSecond = with.median
        figures.llamaTokensPerSecondWithoutFilter = without.median
        figures.llamaRatio = zip(with, without).map { $0 / $1 }.median
    }

    private func tokensPerSecond(_ sandbox: Sandbox) async throws -> Double {
        let manifest = try BackendManifest.load("\(backends)/llama.json", executableName: "llama")
        let request = Hearth_V1_GenerateRequest.with {
            $0.requestID = "benchmark"
            $0.text = "Once upon a time"
            $0.sampling.temperature = 0
            $0.stopping.maxTokens = 400
        }
        var setup = TrialRun.Setup(
            sandbox: sandbox, folder: backends, name: "llama", manifest: manifest, owner: OwnerLimits(threads: 1),
            policy: try SeccompPolicy.named(manifest.policy, in: policies), request: try request.serializedBytes())
        setup.tokens = 400
        let outcome = try await TrialRun.run(setup)
        guard outcome.reach == .answered, outcome.tokens > 1, outcome.answerNanoseconds > 0 else {
            throw BenchError("llama did not answer: \(outcome.detail) \(outcome.log)")
        }
        return Double(outcome.tokens - 1) * 1e9 / Double(outcome.answerNanoseconds)
    }
}

/// Medians.
struct SandboxFigures: Codable {
    /// Hashing and copying the executable and compiling the policy, before the start.
    var prepareMilliseconds = 0.0
    var startMilliseconds = 0.0
    var bubblewrapMilliseconds: Double?
    var callNanoseconds = 0.0
    var callNanosecondsWithoutFilter = 0.0
    var llamaTokensPerSecond: Double?
    var llamaTokensPerSecondWithoutFilter: Double?
    /// Of each pair's figures.
    var llamaRatio: Double?
}

/// Starts a backend through bubblewrap with the layers that it has: all namespaces, no nested ones, an empty read-only root,
/// no capabilities, an empty environment, the same filter. It has neither Landlock nor limits, and executes a file that
/// is neither hashed nor sealed.
struct BubblewrapStart: ~Copyable {
    static let path = "/usr/bin/bwrap"
    let socket: Descriptor
    private let process: ProcessHandle

    init(_ executable: String, filter: [UInt8]) throws {
        let sockets = try Descriptor.socketPair()
        let null = try Descriptor.open("/dev/null", O_RDWR)
        let file = try Descriptor.memoryFile("filter")
        try file.writeAll(filter)
        try file.rewind()
        let words = [
            "bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session",
            "--uid",
            "1000", "--gid", "1000", "--cap-drop", "ALL", "--clearenv", "--setenv", "SWIFT_BACKTRACE",
            "enable=no,swift-backtrace=/none", "--ro-bind", executable, "/echo", "--remount-ro", "/", "--seccomp", "4",
            "/echo",
        ]
        process = try ProcessHandle(
            child: ProcessSpawn.spawn(
                Self.path, arguments: words, environment: [],
                descriptors: [null.raw, null.raw, STDERR_FILENO, sockets.second.raw, file.raw]))
        socket = sockets.takeFirst()
    }

    consuming func end() {
        process.kill()
        _ = process.waitForExit()
    }

    /// The strict policy, and the calls that bubblewrap and its own first process make after they have loaded the filter.
    static func filter(policies: String) throws -> [UInt8] {
        var lines = try SeccompPolicy.named("strict", in: policies).lines
        let place = (lines.firstIndex { $0.contains("\"syscalls\"") } ?? 0) + 1
        lines.insert("{\"names\": [\"execve\", \"wait4\"], \"action\": \"SCMP_ACT_ALLOW\"},", at: place)
        return try SeccompPolicy.parse(Array(lines.joined(separator: "\n").utf8), file: "strict.json")
            .compileAsWritten()
    }
}

extension Monotonic {
    /// Passed since this moment.
    fileprivate var milliseconds: Double { Double(Monotonic.now().since(self)) / 1e6 }
}

extension [Double] {
    var median: Double { isEmpty ? 0 : sorted()[count / 2] }
}
