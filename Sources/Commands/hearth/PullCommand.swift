internal import ArgumentParser
internal import EventLoop
internal import Foundation
internal import GRPC
internal import Glibc
internal import HostAgent
internal import InferenceMessages
internal import Installation
internal import LinuxSystem
internal import ModelPull
internal import SwiftProtobuf
internal import Synchronization

struct PullCommand: AsyncParsableCommand, HandlesSignals {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Download or copy a model into the folder of models.",
        discussion: """
            The source is an image in a registry, the address of a file with its SHA-256, or a file on this machine. \
            The command checks all bytes against the digest; to continue an interrupted pull, run the same command \
            again. If an agent of yours runs, it does the work, and 'hearth models' shows its progress. The \
            credentials of 'docker login' are used.

            EXAMPLES
              hearth pull docker.io/ai/smollm2:135M-Q4_K_M
              hearth pull registry.ollama.ai/library/smollm2:135m
              hearth pull hf.co/bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M --as smollm2
              hearth pull 'https://host.example/models/SmolLM2-135M.Q4_1.gguf#sha256=9f3c...'
              hearth pull ./SmolLM2-135M.Q4_1.gguf
            """)

    @Argument(help: "HOST/REPOSITORY:TAG, an address with its SHA-256, or a file's path.")
    var source: String
    @Option(name: .customLong("as"), help: ArgumentHelp("The id of the model.", valueName: "id"))
    var id: String?
    @Option(help: ArgumentHelp("The SHA-256 of the file at an address, or of a file.", valueName: "hex"))
    var sha256: String?
    @Option(help: ArgumentHelp("The folder to put the model into, without asking an agent.", valueName: "dir"))
    var models: String?
    @Option(help: ArgumentHelp("The state folder of the agent to ask.", valueName: "dir"))
    var state: String?

    mutating func run() async throws {
        let request = try checkedRequest()
        let signals = try await SignalStream.make()
        let screen = Screen()
        let agent = try await openAgent()
        let work: Task<PullEvent?, any Error>
        if let agent, !Self.isFile(request.source) {
            let asked = Hearth_Admin_V1_PullRequest.with {
                $0.source = request.source
                $0.sha256 = request.sha256 ?? ""
                $0.model = request.id ?? ""
            }
            work = Task { try await Self.follow(await agent.pull(asked), screen) }
        } else {
            let process = try PullProcess(
                path: try InstalledParts.program("hearth-pull", executable: try InstalledParts.ownExecutable()),
                request: try await placed(request, agent), variables: ProcessInfo.processInfo.environment)
            work = Task { await Self.follow(process, screen) }
        }
        let last = try await Self.end(of: work, signals, screen)
        await agent?.close()
        switch last {
        case let event? where event.kind == .done:
            Output.print("\(event.model) is here; hearth run \(event.name)")
        case let event?: throw Failure.report(event.text, ExitCode(Int32(clamping: event.code)))
        case nil: throw Refusal("the pull ended without a word; run the same command to go on")
        }
    }

    /// The request without its folder, refused before anything is asked for it. A path is made absolute.
    private func checkedRequest() throws -> PullRequest {
        do throws(PullFailure) {
            var text = source
            let parsed = try PullSource.parse(source, sha256: sha256)
            if case .file(let path, _) = parsed { text = URL(fileURLWithPath: path).standardizedFileURL.path }
            _ = try PulledName(of: parsed, as: id)
            return PullRequest(source: text, sha256: sha256, id: id, folder: "")
        } catch {
            throw ValidationError(error.description)
        }
    }

    private static func isFile(_ source: String) -> Bool { source.hasPrefix("/") }

    /// The agent that brings the model, or into whose folder it is brought; nil: none runs, or a folder was named.
    private func openAgent() async throws -> OwnerConnection? {
        if models != nil { return nil }
        // With --state only that agent is meant.
        if state != nil { return try await OwnerConnection.open(state: state) }
        return try? await OwnerConnection.open(state: nil)
    }

    /// The request with the folder that was named, or the agent's, or the one that an agent would have.
    private func placed(_ request: PullRequest, _ agent: OwnerConnection?) async throws -> PullRequest {
        var request = request
        var folder: String
        if let models {
            folder = models
        } else if let agent {
            let status: Hearth_Admin_V1_Status = try await agent.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest())
            folder = status.modelsFolder
        } else {
            folder = try ModelsFolder.first(state: state, environment: ProcessInfo.processInfo.environment)
        }
        guard !folder.isEmpty else { throw Refusal("the agent has no folder of models: name one with --models") }
        folder = URL(fileURLWithPath: folder).standardizedFileURL.path
        request.folder = folder
        return request
    }

    /// A pull as a line of JSON among others.
    static func json(_ pull: Hearth_Admin_V1_Pull) throws -> String { "{\"pull\":\(try pull.jsonString())}" }

    /// What a pull's line says below the list of models.
    static func line(_ pull: Hearth_Admin_V1_Pull) -> String {
        let percent = PullReport.percent(PullEvent(.downloading, done: pull.doneBytes, total: pull.totalBytes))
        switch pull.state {
        case "downloading": return "\(pull.source) is on its way, \(percent) %"
        case "verifying": return "\(pull.source) is being verified, \(percent) %"
        default: return "\(pull.source) is being looked for"
        }
    }
}

// The events of a pull, and the signals that end it.
extension PullCommand {
    /// The terminal, written to by one task.
    private final class Screen: Sendable {
        private let report: Mutex<PullReport>

        init() { report = Mutex(PullReport(columns: Output.columns)) }

        func show(_ event: PullEvent) {
            // The terminal's size may have changed.
            let columns = Output.columns
            Output.write(
                report.withLock {
                    $0.columns = columns
                    return $0.take(event, at: .now())
                })
        }

        func erase() { Output.write(report.withLock { $0.erase() }) }
    }

    private static func follow(_ process: PullProcess, _ screen: Screen) async -> PullEvent? {
        var last: PullEvent?
        while let event = await process.next() {
            screen.show(event)
            last = event
        }
        return last
    }

    private static func follow(
        _ answers: MessageStream<Hearth_Admin_V1_PullProgress>, _ screen: Screen
    ) async throws -> PullEvent? {
        var last: PullEvent?
        for try await answer in answers {
            // A newer agent may say more.
            guard let kind = PullEvent.Kind(rawValue: answer.event) else { continue }
            var event = PullEvent(kind, answer.text, done: answer.doneBytes, total: answer.totalBytes)
            (event.model, event.name, event.code) = (answer.model, answer.name, UInt64(answer.exitCode))
            screen.show(event)
            last = event
        }
        return last
    }

    /// The first signal that came.
    private final class Stop: Sendable {
        private let signal = Mutex<Int32?>(nil)

        var number: Int32? { signal.withLock { $0 } }

        /// Whether it is the first.
        func note(_ number: Int32) -> Bool {
            signal.withLock { first in
                guard first == nil else { return false }
                first = number
                return true
            }
        }
    }

    /// Waits for the end, or ends it when a signal comes; then the exit code is the signal's.
    private static func end(
        of work: Task<PullEvent?, any Error>, _ signals: AsyncStream<Int32>, _ screen: Screen
    ) async throws -> PullEvent? {
        let stop = Stop()
        let watcher = Task {
            for await number in signals {
                guard stop.note(number) else { Glibc.exit(128 + number) }
                work.cancel()
            }
        }
        let result = await work.result
        watcher.cancel()
        screen.erase()
        if let number = stop.number {
            if case .success(let event?) = result, event.kind == .done { return event }
            Output.note("Stopped; what has arrived is kept. The same command goes on from there.")
            throw ExitCode(128 + number)
        }
        do {
            return try result.get()
        } catch let status as Status where status.code == .unavailable {
            throw Unreachable(
                description:
                    "the agent has gone (\(status.message)); what has arrived is kept: run the same command to go on")
        } catch let status as Status where status.code == .unimplemented {
            throw Refusal(
                "the agent is of another version and cannot pull: start it anew with this one, 'hearth serve --take-over', "
                    + "or name a folder with --models")
        }
    }
}
