internal import ArgumentParser
internal import ConsumerAccess
internal import Foundation
internal import HostAgent

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Manage the keys that let consumers use this host, and their limits.",
        discussion: """
            A consumer sends its key with each call, as 'authorization: Bearer KEY'. Addresses that other machines can \
            reach always require a key, loopback and Unix sockets with 'hearth serve --require-key'. The host keeps \
            only a digest of a key (keys.json in the state folder). A running agent applies a change within two \
            seconds: calls of a revoked key end at once; calls of an expired key go on to their end, and no new one \
            begins.

            A key that is made with --owner is another thing: over HTTP (hearth serve --http) it gives what 'hearth \
            status', 'pause', 'pull' and the like do, and the counters, and no inference.

            EXAMPLES
              hearth key create laptop
              hearth key create guest --expires 30d --streams 2 --tokens-per-minute 6000 --model hearth-demo
              hearth key create --owner page
              hearth key create team --share 4 --priority high
              hearth key list
              hearth key revoke guest
            """,
        subcommands: [CreateKeyCommand.self, ListKeysCommand.self, RevokeKeyCommand.self])
}

/// Selects the host whose keys are meant.
struct KeyOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The state folder of the agent.", valueName: "dir"))
    var state: String?
}

struct CreateKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a key, and print it this once.",
        discussion: """
            Standard output gets nothing but the key, so that it can be redirected:
              hearth key create laptop >key
            """)

    @OptionGroup var options: KeyOptions
    @Flag(help: "Make an owner's key, which gives the owner's requests over HTTP, and no inference.")
    var owner = false
    @Option(
        help: ArgumentHelp(
            "How long the key is valid: 90s, 15m, 12h, 30d, 4w. Without this, for ever.", valueName: "time"))
    var expires: String?
    @Option(help: ArgumentHelp("Calls that may be open at once.", valueName: "count"))
    var streams: UInt32?
    @Option(
        help: ArgumentHelp(
            "Tokens computed in any minute, of prompts and answers. Above it, requests are refused with the time to wait, "
                + "and answers that have begun go on when there is room again.",
            valueName: "count"))
    var tokensPerMinute: UInt32?
    @Option(
        name: .customLong("model"),
        help: ArgumentHelp(
            "A model that the key may list and use; may be repeated. Without this, all.", valueName: "id"))
    var models: [String] = []
    @Option(
        help: ArgumentHelp(
            "How much of a model's sequences its requests get while others wait too; callers without this get 1.",
            valueName: "count"))
    var share: UInt32?
    @Option(
        help: ArgumentHelp(
            "The highest priority that a call may ask for, with the metadata 'hearth-priority'. Without this, normal.",
            valueName: RequestPriority.allCases.map(\.rawValue).joined(separator: "|")))
    var priority: RequestPriority?
    @Argument(help: "The key's name: letters, digits, '.', '_' and '-'.")
    var name: String

    mutating func run() throws {
        let file = try KeyPlace.prepared(state: options.state, environment: ProcessInfo.processInfo.environment)
        let secret = KeySecret.random()
        let lifetime = try expires.map(KeyLifetime.seconds)
        let limits = KeyLimits(
            streams: streams, tokensPerMinute: tokensPerMinute, models: models, share: share, priority: priority)
        let (name, isOwner) = (name, owner)
        try file.change { (book) throws(AccessError) in
            try book.create(
                name, isOwner: isOwner, secret: secret, limits: limits, now: Date(), lifetimeSeconds: lifetime)
        }
        // A key that could not be printed is of no use, so it is revoked.
        try Output.print(secret.text) { try file.change { (book) throws(AccessError) in try book.revoke(name) } }
        Output.note(
            "hearth: this is the \(isOwner ? "owner's " : "")key '\(name)', shown this once; keep it where nobody else can read it"
        )
    }
}

struct ListKeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the keys and what they allow, without the secrets.")

    @OptionGroup var options: KeyOptions
    @Flag(help: "Print JSON, one key a line.")
    var json = false

    mutating func run() throws {
        let file = try KeyPlace.file(state: options.state, environment: ProcessInfo.processInfo.environment)
        let keys = try file.read()?.keys ?? []
        if json {
            for key in keys { Output.json(try Self.line(key)) }
            return
        }
        guard !keys.isEmpty else {
            return Output.print("There are no keys. Make one with: hearth key create NAME")
        }
        var rows = [["NAME", "FOR", "CREATED", "EXPIRES", "STREAMS", "TOKENS/MIN", "SHARE", "PRIORITY", "MODELS"]]
        for key in keys {
            let expires = key.expires.map { $0.formatted(.iso8601) } ?? "never"
            rows.append([
                key.name, key.isOwner ? "owner" : "consumer", key.created.formatted(.iso8601),
                key.isExpired(at: Date()) ? expires + " (over)" : expires,
                Self.words(key, key.limits.streams.map { "\($0)" } ?? "any"),
                Self.words(key, key.limits.tokensPerMinute.map { "\($0)" } ?? "any"),
                Self.words(key, "\(key.limits.share ?? 1)"),
                Self.words(key, (key.limits.priority ?? .usualMost).rawValue),
                Self.words(key, key.limits.models.isEmpty ? "all" : key.limits.models.joined(separator: ", ")),
            ])
        }
        Output.table(rows)
    }

    /// An owner's key gives no inference.
    private static func words(_ key: AccessKey, _ limit: String) -> String { key.isOwner ? "-" : limit }

    private struct Line: Encodable {
        let name: String
        let owner: Bool
        let created: Date
        let expires: Date?
        let expired: Bool
        let streams: UInt32?
        let tokensPerMinute: UInt32?
        let share: UInt32
        let priority: RequestPriority
        let models: [String]
    }

    private static func line(_ key: AccessKey) throws -> String {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = Line(
            name: key.name, owner: key.isOwner, created: key.created, expires: key.expires,
            expired: key.isExpired(at: Date()), streams: key.limits.streams,
            tokensPerMinute: key.limits.tokensPerMinute, share: key.limits.share ?? 1,
            priority: key.limits.priority ?? .usualMost, models: key.limits.models)
        return String(decoding: try encoder.encode(line), as: UTF8.self)
    }
}

extension RequestPriority: ExpressibleByArgument {}

struct RevokeKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Revoke a key: its calls end, and it is valid no more.")

    @OptionGroup var options: KeyOptions
    @Argument(help: "The key's name.")
    var name: String

    mutating func run() throws {
        let file = try KeyPlace.file(state: options.state, environment: ProcessInfo.processInfo.environment)
        let name = name
        try file.change { (book) throws(AccessError) in try book.revoke(name) }
    }
}

/// The name of `hearth key` in earlier versions: answers with the new name.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "token", shouldDisplay: false)

    @Argument(parsing: .captureForPassthrough)
    var arguments: [String] = []

    mutating func run() throws {
        throw ValidationError("'hearth token' is called 'hearth key' now: hearth key create, list or revoke")
    }
}
