internal import ArgumentParser
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the models that a host lends.",
        discussion: """
            EXAMPLES
              hearth models
              hearth models --to host.example:50051 --fingerprint 3f5a... --key-file ~/key
              hearth models --to 'hearth://host.example:50051?key=...&fingerprint=sha256:...'
            """)

    @OptionGroup var consumer: ConsumerOptions
    @Flag(help: "Print JSON, one model a line.")
    var json = false

    mutating func run() async throws {
        let host = try await consumer.connect()
        defer { Task { await host.client.close() } }
        var rows = [["MODEL", "STATE", "CONTEXT", "CAPABILITIES", "SANDBOX", "WHAT REMAINS OPEN"]]
        var pageToken = ""
        repeat {
            let page: Hearth_V1_ListModelsResponse = try await host.client.unary(
                "/hearth.v1.Inference/ListModels", Hearth_V1_ListModelsRequest.with { $0.pageToken = pageToken },
                options: host.options)
            for model in page.models {
                if json { Output.json(try model.jsonString()) }
                let context = model.maxContextTokens == 0 ? "-" : "\(model.maxContextTokens)"
                rows.append([
                    model.id, Self.word(model.state), context, model.capabilities.joined(separator: ","),
                    model.sandboxTier,
                    // Each is "name: clause"; --json has the clauses.
                    model.residualRisks.map { $0.prefix { $0 != ":" } }.joined(separator: ", "),
                ])
            }
            pageToken = page.nextPageToken
        } while !pageToken.isEmpty
        if json { return }
        if rows.count == 1 { Output.print("This host lends no model now.") } else { Output.table(rows) }
    }

    private static func word(_ state: Hearth_V1_ModelState) -> String {
        switch state {
        case .ready: "ready"
        case .loading: "loading"
        case .unavailable: "unavailable"
        case .unspecified, .UNRECOGNIZED: "unknown"
        }
    }
}
