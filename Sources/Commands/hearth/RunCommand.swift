internal import ArgumentParser
internal import Foundation
internal import InferenceMessages
internal import SwiftProtobuf

struct RunCommand: AsyncParsableCommand, HandlesSignals {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Talk to a model, whether or not an agent runs.",
        usage: "hearth run <model|file> [<prompt>] [<options of 'hearth chat'>]",
        discussion: """
            The model is one in the folders of models (see 'hearth models'), or any file. If an agent of yours runs, \
            it answers, and serves the file for as long as this command runs. Otherwise the command starts an agent \
            that only you can reach, and ends it afterwards. The rest is as with 'hearth chat': one answer with a \
            prompt or with text on standard input, else a conversation.

            EXAMPLES
              hearth run ~/Downloads/SmolLM2-135M-Instruct.Q4_1.gguf
              hearth run smollm2-135m-instruct "What is the capital of France?" --temperature 0
            """)

    @Option(help: ArgumentHelp("The state folder of the agent to ask.", valueName: "dir"))
    var state: String?
    @Argument(help: "A model's name, or the path of a model's file.")
    var model: String
    @Argument(parsing: .allUnrecognized, help: "The prompt, and options of 'hearth chat'.")
    var rest: [String] = []

    mutating func run() async throws {
        // Refused before anything is started for it.
        _ = try ChatCommand.parse(["--model", model] + rest)
        let file = try Self.file(of: model)
        let agent: OwnerConnection
        if let running = try? await OwnerConnection.open(state: state) {
            agent = running
        } else {
            // With --state only that agent is meant.
            if let state { _ = try await OwnerConnection.open(state: state) }
            agent = try await OwnerConnection.open(state: try OwnAgent.start())
        }
        let lent = try await file.asyncMap { try await agent.lend($0) }
        var chat = try ChatCommand.parse(try await Self.address(of: agent) + ["--model", lent ?? model] + rest)
        do {
            try await chat.run()
        } catch {
            // The reason why a model cannot be had is told to the owner only, not to consumers.
            throw await Self.reason(of: lent ?? model, agent).map { Refusal($0) } ?? error
        }
        await agent.close()
    }

    /// Why the agent does not serve a model; nil where it does.
    private static func reason(of model: String, _ agent: OwnerConnection) async -> String? {
        let list: Hearth_Admin_V1_ListBackendsResponse? = try? await agent.ask(
            "ListBackends", Hearth_Admin_V1_ListBackendsRequest())
        let backend = list?.backends.first { $0.model == model || $0.model.hasPrefix("\(model):") }
        guard let backend, backend.state == "failed" || backend.state == "waiting" else { return nil }
        return "\(backend.model) cannot be loaded: it \(backend.detail)"
    }

    /// The absolute path, if a file is meant and not a model's name.
    private static func file(of model: String) throws -> String? {
        let isPath = model.contains("/") || model.hasSuffix(".gguf")
        let path = URL(fileURLWithPath: model).standardizedFileURL.path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            guard isPath else { return nil }
            throw Refusal("there is no file \(path)")
        }
        guard !isFolder.boolValue else {
            guard isPath else { return nil }
            throw Refusal("\(path) is a folder; name the model's file in it")
        }
        return path
    }

    /// The arguments with which 'hearth chat' reaches the agent.
    private static func address(of agent: OwnerConnection) async throws -> [String] {
        let status: Hearth_Admin_V1_Status = try await agent.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest())
        guard let listener = status.listeners.first(where: { $0.security == "plaintext" }) ?? status.listeners.first
        else { throw Refusal("the agent listens nowhere") }
        return ["--to", listener.address] + (listener.security == "tls" ? ["--tls"] : [])
    }
}

extension Optional {
    fileprivate func asyncMap<Value>(_ body: (Wrapped) async throws -> Value) async rethrows -> Value? {
        guard let self else { return nil }
        return try await body(self)
    }
}
