internal import ArgumentParser
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

struct TokenizeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Show the tokens that a model makes of a text, or the text of tokens.",
        discussion: """
            The text is the argument, or standard input. Each line shows the id of a token and its text, in quotes and \
            with control characters escaped. Where the text of tokens is no UTF-8, U+FFFD replaces it.

            With --chat the text is one message of a person, and the tokens are those of the conversation in the \
            model's chat template; --text shows what the template makes of it instead of its tokens. With --ids the \
            command prints the text of these tokens.

            EXAMPLES
              hearth tokenize "Tell me a story about a fox."
              hearth tokenize --model smollm2-135m-instruct --chat --text "Hello"
              hearth tokenize --ids 504,1782,5277
              hearth tokenize --json <prompt.txt
            """)

    /// More than any host takes in one message.
    private static let promptBytesMax = 16 << 20

    @OptionGroup var consumer: ConsumerOptions
    @Option(help: ArgumentHelp("The model; may be left out if the host lends only one.", valueName: "name"))
    var model = ""
    @Flag(help: "Apply the model's chat template to the text, as one message of a person.")
    var chat = false
    @Option(help: ArgumentHelp("A system prompt before the message, with --chat.", valueName: "text"))
    var system: String?
    @Flag(help: "Print what the chat template makes of the message, with --chat.")
    var text = false
    @Option(help: ArgumentHelp("Print the text of these tokens.", valueName: "id,id,..."))
    var ids: String?
    @Flag(help: "Print the answer of the host as JSON.")
    var json = false
    @Argument(help: "The text.")
    var prompt: String?

    mutating func validate() throws {
        guard chat || (system == nil && !text) else { throw ValidationError("--system and --text go with --chat") }
        guard ids == nil || (!chat && prompt == nil) else { throw ValidationError("--ids goes without a text") }
    }

    mutating func run() async throws {
        let request = try request()
        let host = try await consumer.connect()
        defer { Task { await host.client.close() } }
        if ids != nil {
            let answer: Hearth_V1_DetokenizeResponse = try await ask(host, "Detokenize", request)
            try show(answer) { Self.write(String(decoding: $0.text, as: UTF8.self)) }
        } else if text {
            let answer: Hearth_V1_ApplyTemplateResponse = try await ask(host, "ApplyTemplate", request)
            try show(answer) { Self.write($0.text) }
        } else {
            let answer: Hearth_V1_TokenizeResponse = try await ask(host, "Tokenize", request)
            try show(answer) { answer in
                let width = answer.tokens.map { "\($0.id)".count }.max() ?? 0
                for token in answer.tokens {
                    let id = String(repeating: " ", count: width - "\(token.id)".count) + "\(token.id)"
                    Output.print("\(id)  \(String(decoding: token.text, as: UTF8.self).debugDescription)")
                }
            }
        }
    }

    private func request() throws -> Hearth_V1_GenerateRequest {
        var request = Hearth_V1_GenerateRequest()
        request.model = model
        if let ids {
            request.tokenIds.ids = try ids.split(separator: ",", omittingEmptySubsequences: false).map { word in
                guard let id = UInt32(word.trimmingCharacters(in: .whitespaces)) else {
                    throw ValidationError("--ids: '\(word)' is no token id; write numbers with commas between them")
                }
                return id
            }
            return request
        }
        let prompt = try prompt ?? StandardStreams.readAll(bytesMax: Self.promptBytesMax)
        guard !prompt.isEmpty else {
            throw ValidationError("the text is empty: give it as an argument or on standard input")
        }
        guard chat else {
            request.text = prompt
            return request
        }
        func message(_ role: Hearth_V1_Role, _ content: String) -> Hearth_V1_Message {
            .with { ($0.role, $0.content) = (role, content) }
        }
        request.messages.messages = (system.map { [message(.system, $0)] } ?? []) + [message(.user, prompt)]
        return request
    }

    private func ask<Answer: SwiftProtobuf.Message>(
        _ host: ConsumerOptions.Host, _ method: String, _ request: Hearth_V1_GenerateRequest
    ) async throws -> Answer {
        try await host.client.unary("/hearth.v1.Inference/\(method)", request, options: host.options)
    }

    private func show<Answer: SwiftProtobuf.Message>(_ answer: Answer, _ body: (Answer) -> Void) throws {
        if json { Output.json(try answer.jsonString()) } else { body(answer) }
    }

    /// A terminal gets no control characters, and a line end; a pipe gets the text alone.
    private static func write(_ text: String) {
        if Output.isTerminal { Output.print(text) } else { Output.write(text) }
    }
}
