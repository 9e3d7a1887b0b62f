internal import ArgumentParser
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

struct EmbedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed",
        abstract: "Show the vectors that a model makes of texts.",
        discussion: """
            The texts are the arguments, or the lines of standard input, without empty ones. The command prints one line \
            for each text: the numbers of its vector. Texts of similar meaning have vectors of similar direction: the \
            sum of the products of their numbers is near 1.

            EXAMPLES
              hearth embed "The sea is blue." "Water has the colour of the sky."
              hearth embed --model all-minilm-l6-v2 --json <lines.txt
              hearth embed --dimensions 256 --truncate "A long text ..."
            """)

    enum Pooling: String, CaseIterable, ExpressibleByArgument {
        case mean, cls, last

        var message: Hearth_V1_Pooling {
            switch self {
            case .mean: .mean
            case .cls: .cls
            case .last: .last
            }
        }
    }

    @OptionGroup var consumer: ConsumerOptions
    @Option(help: ArgumentHelp("The model; may be left out if the host lends only one.", valueName: "name"))
    var model = ""
    @Option(
        help: "How the vectors of a text's tokens become one: mean, cls or last; without it, as the model was trained.")
    var pooling: Pooling?
    @Option(
        help: ArgumentHelp("Only so many numbers of each vector, if the model was trained for it.", valueName: "count"))
    var dimensions: UInt32?
    @Flag(help: "Leave the vectors as long as the model makes them.")
    var noNormalise = false
    @Flag(help: "Cut texts that do not fit the model's context.")
    var truncate = false
    @Flag(help: "Print the answer of the host as JSON.")
    var json = false
    @Argument(help: "The texts.")
    var texts: [String] = []

    mutating func run() async throws {
        let texts = try InputTexts.texts(texts)
        let request = Hearth_V1_EmbedRequest.with { request in
            request.model = model
            request.inputs = texts.map { text in .with { $0.text = text } }
            if let pooling { request.pooling = pooling.message }
            if let dimensions { request.dimensions = dimensions }
            if noNormalise { request.normalise = false }
            request.truncate = truncate
        }
        let host = try await consumer.connect()
        defer { Task { await host.client.close() } }
        let answer: Hearth_V1_EmbedResponse = try await host.client.unary(
            "/hearth.v1.Inference/Embed", request, options: host.options)
        if json { return Output.json(try answer.jsonString()) }
        for embedding in answer.embeddings {
            Output.print(embedding.vector.map { "\($0)" }.joined(separator: " "))
        }
    }
}

/// The texts that a command is given.
enum InputTexts {
    /// More than any host takes in one message.
    private static let bytesMax = 16 << 20

    /// The arguments; without any, the lines of standard input that are not empty.
    static func texts(_ arguments: [String]) throws -> [String] {
        let texts =
            arguments.isEmpty
            ? try StandardStreams.readAll(bytesMax: bytesMax).split(whereSeparator: \.isNewline).map(String.init)
            : arguments
        guard !texts.isEmpty, !texts.contains("") else {
            throw ValidationError("a text is empty: give texts as arguments, or as lines on standard input")
        }
        return texts
    }
}
