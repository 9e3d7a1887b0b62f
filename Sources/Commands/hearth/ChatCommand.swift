internal import ArgumentParser
internal import ChatTerminal
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import StrictJSON
internal import SwiftProtobuf

struct ChatCommand: AsyncParsableCommand, HandlesSignals {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "Talk to a model of a host.",
        discussion: """
            With a prompt, or with text on standard input, the command asks once, prints the answer as it comes, and \
            exits. On a terminal without a prompt it holds a conversation, turn by turn; the model sees the \
            conversation so far or, if that is longer than its context, the latest part. Lines are edited, and kept \
            for later conversations, as in a shell. Ctrl-C or an error ends the answer, not the conversation; Ctrl-D \
            ends the conversation. '/help' lists the instructions that change, save and load a conversation; \"\"\" \
            begins and ends a text of several lines.

            On a terminal, control characters in a model's text are replaced; a pipe or a file gets the text \
            unchanged. NO_COLOR turns colours off, and TERM=dumb the line editor too.

            EXAMPLES
              hearth chat "Tell me a story about a fox."
              echo "What is two plus three?" | hearth chat --model hearth-demo
              hearth chat --choice yes --choice no "Is a fox a bird?"
              hearth chat --choices 3 --temperature 1 "Give me a name for a fox."
              hearth chat --tools tools.json "What is the weather in Oslo?"
              hearth chat --to unix:/run/user/1000/hearth.sock --temperature 0
              hearth chat --to host.example:50051 --fingerprint 3f5a... --key-file ~/key "Hello"
              hearth chat --to 'hearth://host.example:50051?key=...&fingerprint=sha256:...' "Hello"
              hearth chat --to host.example:50051 --tls-certificate me.pem --tls-key me.key "Hello"
            """)

    /// More than any host takes in one message.
    private static let promptBytesMax = 16 << 20
    private static let formBytesMax = 1 << 20
    private static let toolBytesMax = 4 << 20

    @OptionGroup var consumer: ConsumerOptions
    @Option(help: ArgumentHelp("The model; may be left out if the host lends only one.", valueName: "name"))
    var model = ""
    @Option(help: ArgumentHelp("The system prompt.", valueName: "text"))
    var system: String?
    @Option(help: "The most tokens of an answer.")
    var maxTokens: UInt32?
    @Option(help: "The sampling temperature, from 0 (always the likeliest token) to 2.")
    var temperature: Float?
    @Option(help: "The seed of the sampling; the same seed gives the same answer.")
    var seed: UInt64?
    @Option(
        help: ArgumentHelp(
            "Print each token's log-probability, and those of so many of the likeliest in its place, behind the answer on standard "
                + "error; 0 to 20.", valueName: "count"))
    var logprobs: UInt32?
    @Option(
        help: ArgumentHelp(
            "So many answers to the prompt, which is computed once; 1 to 16. With --seed each has its own, which count up.",
            valueName: "count"))
    var choices: UInt32?
    @Option(help: ArgumentHelp("Hold the answer to JSON that the schema in this file allows.", valueName: "file"))
    var schema: String?
    @Option(help: ArgumentHelp("Hold the answer to the grammar in this file, in GBNF.", valueName: "file"))
    var grammar: String?
    @Option(help: ArgumentHelp("Hold the answer to this text, or another that is named so.", valueName: "text"))
    var choice: [String] = []
    @Option(
        help: ArgumentHelp(
            "Tell the model of the tools in this file, a JSON list; calls are printed behind the answer, a line of JSON each.",
            valueName: "file"))
    var tools: String?
    @Flag(help: "Print every event as it comes, a line of JSON each, in place of the answer.")
    var json = false
    @Option(
        name: .customLong("option"),
        help: ArgumentHelp("An option for the backend; may be repeated.", valueName: "key=value"))
    var options: [String] = []
    @Flag(help: "Print tokens, rate and time to the first token on standard error.")
    var stats = false
    @Argument(help: "The prompt.")
    var prompt: String?

    mutating func run() async throws {
        let isConversation = prompt == nil && isatty(STDIN_FILENO) == 1
        let alone = [("json", json), ("tools", tools != nil), ("choices", choices != nil)].first { $0.1 }
        if isConversation, let alone {
            throw ValidationError("--\(alone.0) goes with one prompt; give it as an argument")
        }
        let session = ChatSession(
            consumer: consumer, template: try template(), system: system, showsStats: stats, printsEvents: json)
        let interrupts = Task {
            for await number in try await SignalStream.make() {
                guard number == SIGINT else { Foundation.exit(128 + number) }
                // When there is nothing to cancel yet, or the host does not cancel, Ctrl-C ends the command.
                if await !session.interrupt(isSignal: true) { Foundation.exit(Failure.interrupted.rawValue) }
            }
        }
        defer { interrupts.cancel() }
        if isConversation {
            try await session.connect()
            await session.converse()
        } else {
            let text = try prompt ?? StandardStreams.readAll(bytesMax: ChatCommand.promptBytesMax)
            guard !text.isEmpty else {
                throw ValidationError("the prompt is empty: give it as an argument or on standard input")
            }
            if try await session.ask(text) { throw Failure.interrupted }
        }
        await session.close()
    }

    /// Everything of a request but its messages.
    private func template() throws -> Hearth_V1_GenerateRequest {
        var request = Hearth_V1_GenerateRequest()
        request.model = model
        request.wantsQueueEvents = true
        request.resumableFor.seconds = AnswerResumption.seconds
        if let maxTokens { request.stopping.maxTokens = maxTokens }
        if let temperature { request.sampling.temperature = temperature }
        if let seed { request.sampling.seed = seed }
        if let logprobs { request.output.logprobs = logprobs }
        if let choices { request.choices = choices }
        if let format = try format() { request.format = format }
        if let tools {
            let bytes = Array(try Self.text(tools, "tools", bytesMax: ChatCommand.toolBytesMax).utf8)
            do throws(JSONError) {
                request.tools.tools = try ToolFile.tools(bytes, file: tools)
            } catch {
                throw ValidationError("--tools: \(error)")
            }
        }
        for option in options {
            guard let equals = option.firstIndex(of: "=") else {
                throw ValidationError("--option '\(option)': write KEY=VALUE")
            }
            request.backendOptions[String(option[..<equals])] = String(option[option.index(after: equals)...])
        }
        return request
    }

    /// The form of the answer.
    private func format() throws -> Hearth_V1_OutputFormat? {
        guard [schema != nil, grammar != nil, !choice.isEmpty].count(where: { $0 }) <= 1 else {
            throw ValidationError("--schema, --grammar and --choice each say a form of the answer: use one of them")
        }
        if let schema {
            return try .with { $0.jsonSchema = try Self.text(schema, "schema", bytesMax: ChatCommand.formBytesMax) }
        }
        if let grammar {
            return try .with { $0.grammar = try Self.text(grammar, "grammar", bytesMax: ChatCommand.formBytesMax) }
        }
        return choice.isEmpty ? nil : .with { $0.choice.texts = choice }
    }

    /// The text of a file that an option names.
    private static func text(_ file: String, _ option: String, bytesMax: Int) throws -> String {
        let bytes: [UInt8]
        do throws(LinuxError) {
            bytes = try FileBytes.read(file, max: bytesMax)
        } catch {
            throw ValidationError("--\(option) '\(file)': \(error.description)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ValidationError("--\(option) '\(file)': the file is no UTF-8")
        }
        return text
    }
}
