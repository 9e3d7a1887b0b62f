internal import ArgumentParser
internal import GRPC
internal import InferenceMessages
internal import OwnerTools
internal import SwiftProtobuf
internal import TerminalText

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the models that a host lends, show one, and change those in its folders.",
        discussion: """
            Without a subcommand it lists the models.

            EXAMPLES
              hearth models
              hearth models show smollm2-135m-instruct
              hearth models rename smollm2-135m-instruct:q4_1 little
              hearth models remove little
            """,
        subcommands: [
            ModelsListCommand.self, ModelsShowCommand.self, ModelsRemoveCommand.self, ModelsRenameCommand.self,
        ],
        defaultSubcommand: ModelsListCommand.self)

    /// All models that a host lends.
    static func models(of host: ConsumerOptions.Host) async throws -> [Hearth_V1_Model] {
        var models: [Hearth_V1_Model] = []
        var pageToken = ""
        repeat {
            let page: Hearth_V1_ListModelsResponse = try await host.client.unary(
                "/hearth.v1.Inference/ListModels", Hearth_V1_ListModelsRequest.with { $0.pageToken = pageToken },
                options: host.options)
            models += page.models
            pageToken = page.nextPageToken
        } while !pageToken.isEmpty
        return models
    }

    static func word(_ state: Hearth_V1_ModelState) -> String {
        switch state {
        case .ready: "ready"
        case .loading: "loading"
        case .unloaded: "unloaded"
        case .unavailable: "unavailable"
        case .unspecified, .UNRECOGNIZED: "unknown"
        }
    }
}

struct ModelsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the models that a host lends.",
        discussion: """
            The next request loads a model that is 'unloaded'. The owner of an agent on this machine also sees which \
            models are on their way here, and which files in the folders of models are not served, and why.

            With --json each model is a line, and so is, for the owner, each one that is being pulled: {"pull": ...}.

            EXAMPLES
              hearth models
              hearth models --to host.example:50051 --fingerprint 3f5a... --key-file ~/key
              hearth models --to 'hearth://host.example:50051?key=...&fingerprint=sha256:...'
            """)

    @OptionGroup var consumer: ConsumerOptions
    @Option(help: ArgumentHelp("The state folder of the agent, for the owner's part of the list.", valueName: "dir"))
    var state: String?
    @Flag(help: "Print JSON, a line for each.")
    var json = false

    mutating func run() async throws {
        let host = try await consumer.connect()
        defer { Task { await host.client.close() } }
        var rows = [["MODEL", "STATE", "CONTEXT", "CAPABILITIES", "SANDBOX", "WHAT REMAINS OPEN"]]
        for model in try await ModelsCommand.models(of: host) {
            if json { Output.json(try model.jsonString()) }
            let context = model.maxContextTokens == 0 ? "-" : "\(model.maxContextTokens)"
            rows.append([
                model.id, ModelsCommand.word(model.state), context, model.capabilities.joined(separator: ","),
                model.sandboxTier,
                // Each is "name: clause"; --json has the clauses.
                model.residualRisks.map { $0.prefix { $0 != ":" } }.joined(separator: ", "),
            ])
        }
        let list = await owned()
        if json {
            for pull in list.pulls { Output.json(try PullCommand.json(pull)) }
            return
        }
        if rows.count == 1 { Output.print("This host lends no model now.") } else { Output.table(rows) }
        for line in Self.remarks(list) { Output.print("\n" + printable(line)) }
    }

    /// What the owner of the agent that was asked is told; nothing for other users or about other agents.
    private func owned() async -> Hearth_Admin_V1_ListBackendsResponse {
        let nothing = Hearth_Admin_V1_ListBackendsResponse()
        guard let agent = try? await OwnerConnection.open(state: state) else { return nothing }
        defer { Task { await agent.close() } }
        guard
            let status: Hearth_Admin_V1_Status = try? await agent.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest()),
            status.listeners.contains(where: { $0.address == consumer.to }),
            let list: Hearth_Admin_V1_ListBackendsResponse = try? await agent.ask(
                "ListBackends", Hearth_Admin_V1_ListBackendsRequest())
        else { return nothing }
        return list
    }

    /// A remark that holds for all processes of a model stands once.
    private static func remarks(_ list: Hearth_Admin_V1_ListBackendsResponse) -> [String] {
        let told = list.backends.filter { !$0.detail.isEmpty && $0.state != "loading" }
        let models = told.map { backend in
            let isOfAll = list.backends.allSatisfy { $0.model != backend.model || $0.detail == backend.detail }
            return (isOfAll ? backend.model : backend.processName, backend.detail)
        }
        var lines: [String] = []
        for (name, detail) in models where lines.last != "\(name): \(detail)" { lines.append("\(name): \(detail)") }
        return list.pulls.map(PullCommand.line) + lines + list.unserved.map { "\($0.name) is \($0.reason)" }
    }
}
