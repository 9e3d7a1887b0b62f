internal import ArgumentParser
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

struct RerankCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rerank",
        abstract: "Show how well documents answer a query, the best first.",
        discussion: """
            The documents are the arguments behind the query, or the lines of standard input, without empty ones. Each \
            line shows a score and its document; the higher the score, the better.

            EXAMPLES
              hearth rerank "What is the capital of France?" "Paris is." "Berlin is."
              hearth rerank --top 5 "How do I boil an egg?" <lines.txt
            """)

    @OptionGroup var consumer: ConsumerOptions
    @Option(help: ArgumentHelp("The model; may be left out if the host lends only one.", valueName: "name"))
    var model = ""
    @Option(help: ArgumentHelp("Only so many documents, the best.", valueName: "count"))
    var top: UInt32?
    @Flag(help: "Cut documents that do not fit the model's context.")
    var truncate = false
    @Flag(help: "Print the answer of the host as JSON.")
    var json = false
    @Argument(help: "What the documents are to answer.")
    var query: String
    @Argument(help: "The documents.")
    var documents: [String] = []

    mutating func run() async throws {
        let documents = try InputTexts.texts(documents)
        let request = Hearth_V1_RerankRequest.with { request in
            request.model = model
            request.query = query
            request.documents = documents
            if let top { request.topN = top }
            request.truncate = truncate
        }
        let host = try await consumer.connect()
        defer { Task { await host.client.close() } }
        let answer: Hearth_V1_RerankResponse = try await host.client.unary(
            "/hearth.v1.Inference/Rerank", request, options: host.options)
        if json { return Output.json(try answer.jsonString()) }
        for ranked in answer.documents where documents.indices.contains(Int(ranked.index)) {
            Output.print("\(ranked.score)  \(documents[Int(ranked.index)].debugDescription)")
        }
    }
}
