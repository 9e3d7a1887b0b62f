internal import ArgumentParser
internal import ConsumerAccess
internal import Foundation
internal import HostAgent

struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Say who may use this host, and how much.",
        discussion: """
            A consumer shows its token with each call, as 'authorization: Bearer TOKEN'. Addresses that other machines can \
            reach ask for one always, loopback and Unix sockets with 'hearth serve --require-token'. The host keeps only a \
            digest of it (tokens.json in the state folder). A running agent takes a change over within two seconds: calls of \
            a token that was revoked end at once; one that expires lets what runs end, and begins nothing new.

            EXAMPLES
              hearth token create laptop
              hearth token create guest --expires 30d --streams 2 --tokens-per-minute 6000 --model hearth-demo
              hearth token list
              hearth token revoke guest
            """,
        subcommands: [CreateTokenCommand.self, ListTokensCommand.self, RevokeTokenCommand.self])
}

/// Which host's tokens.
struct TokenOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The state folder of the agent.", valueName: "dir"))
    var state: String?
}

struct CreateTokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a token, and print it this once.",
        discussion: """
            Prints nothing but the token on standard output, so that it can be put where it is needed:
              hearth token create laptop >token
            """)

    @OptionGroup var options: TokenOptions
    @Option(help: ArgumentHelp("When it ends: 90s, 15m, 12h, 30d, 4w. Without this, never.", valueName: "time"))
    var expires: String?
    @Option(help: ArgumentHelp("Calls that may be open at once.", valueName: "count"))
    var streams: UInt32?
    @Option(
        help: ArgumentHelp(
            "Tokens computed in any minute, of prompts and answers. Beyond it requests are refused with the time to wait, "
                + "and answers that have begun go on when there is room again.",
            valueName: "count"))
    var tokensPerMinute: UInt32?
    @Option(
        name: .customLong("model"),
        help: ArgumentHelp("A model that it may see and use; may be repeated. Without this, all.", valueName: "id"))
    var models: [String] = []
    @Argument(help: "What you call it: letters, digits, '.', '_' and '-'.")
    var name: String

    mutating func run() throws {
        let file = try TokenPlace.prepared(state: options.state, environment: ProcessInfo.processInfo.environment)
        let secret = TokenSecret.random()
        let lifetime = try expires.map(TokenLifetime.seconds)
        let limits = TokenLimits(streams: streams, tokensPerMinute: tokensPerMinute, models: models)
        let name = name
        try file.change { (book) throws(AccessError) in
            try book.create(name, secret: secret, limits: limits, now: Date(), lifetimeSeconds: lifetime)
        }
        // Nobody could use a token that nobody has seen.
        try Output.print(secret.text) { try file.change { (book) throws(AccessError) in try book.revoke(name) } }
        Output.note("hearth: this is the token '\(name)', shown this once; keep it where nobody else can read it")
    }
}

struct ListTokensCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the tokens and what they allow, without the secrets.")

    @OptionGroup var options: TokenOptions
    @Flag(help: "Print JSON, one token a line.")
    var json = false

    mutating func run() throws {
        let file = try TokenPlace.file(state: options.state, environment: ProcessInfo.processInfo.environment)
        let tokens = try file.read()?.tokens ?? []
        if json {
            for token in tokens { Output.json(try Self.line(token)) }
            return
        }
        guard !tokens.isEmpty else {
            return Output.print("There are no tokens. Make one with: hearth token create NAME")
        }
        var rows = [["NAME", "CREATED", "EXPIRES", "STREAMS", "TOKENS/MIN", "MODELS"]]
        for token in tokens {
            let expires = token.expires.map { $0.formatted(.iso8601) } ?? "never"
            rows.append([
                token.name, token.created.formatted(.iso8601),
                token.isExpired(at: Date()) ? expires + " (over)" : expires,
                token.limits.streams.map { "\($0)" } ?? "any", token.limits.tokensPerMinute.map { "\($0)" } ?? "any",
                token.limits.models.isEmpty ? "all" : token.limits.models.joined(separator: ", "),
            ])
        }
        Output.table(rows)
    }

    private struct Line: Encodable {
        let name: String
        let created: Date
        let expires: Date?
        let expired: Bool
        let streams: UInt32?
        let tokensPerMinute: UInt32?
        let models: [String]
    }

    private static func line(_ token: AccessToken) throws -> String {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = Line(
            name: token.name, created: token.created, expires: token.expires, expired: token.isExpired(at: Date()),
            streams: token.limits.streams, tokensPerMinute: token.limits.tokensPerMinute, models: token.limits.models)
        return String(decoding: try encoder.encode(line), as: UTF8.self)
    }
}

struct RevokeTokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "End a token: its calls end, and nobody can call with it any more.")

    @OptionGroup var options: TokenOptions
    @Argument(help: "Its name.")
    var name: String

    mutating func run() throws {
        let file = try TokenPlace.file(state: options.state, environment: ProcessInfo.processInfo.environment)
        let name = name
        try file.change { (book) throws(AccessError) in try book.revoke(name) }
    }
}
