internal import ArgumentParser
internal import EventLoop
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf

/// The same requests to an agent's model and to a llama-server with the same file, in turn; one line of JSON for each run.
///
/// Both have prompts of token ids, drawn anew for each run, so that neither finds a beginning that it has computed;
/// temperature 0; as many tokens of completion, past the end of the turn. A rate of tokens is that from the first byte of the
/// requests to the last of the answers; a prompt's time is that of a request for one token. Processor time is that of the
/// agent with all its processes, and of llama-server.
struct LlamaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "llama", abstract: "Ask an agent's model and a llama-server the same, in turn.")

    @OptionGroup var agent: Agent
    @Option(help: "The port of llama-server on 127.0.0.1.")
    var serverPort: UInt16
    @Option(help: "Its process.")
    var serverPid: Int32
    @Option(help: "Runs of each load, after one that is not counted.")
    var runs = 5
    @Option(help: "Streams of completions at once; 0: none.")
    var streams = 0
    @Option(help: "Tokens of each stream.")
    var tokens = 128
    @Option(parsing: .upToNextOption, help: "Prompts of so many tokens.")
    var prompts: [Int] = []
    @Option(help: "The time to the first token of a prompt of 200 tokens, while so many streams generate; 0: none.")
    var beside = 0
    @Option(help: "The ids of prompts' tokens are below this.")
    var vocabulary: UInt32 = 16_000

    struct Run: Codable {
        var load: String
        var side: String
        /// Tokens of completions, or of the prompt.
        var tokens: Int
        var seconds: Double
        var processorSeconds: Double
    }

    /// A load for one side.
    private typealias Work = (any CompletionSide, _ seed: UInt64) async throws -> (tokens: Int, seconds: Double)

    func run() async throws {
        let sides: [(String, any CompletionSide)] = [
            ("hearth", HearthSide(agent: agent)), ("llama-server", ServerSide(port: serverPort, pid: serverPid)),
        ]
        var loads: [(String, Work)] = []
        if streams > 0 {
            loads.append(("\(streams) streams", { try await rate(of: $0, seed: $1) }))
        }
        for count in prompts {
            loads.append(("prompt of \(count)", { try await prompt(of: count, on: $0, seed: $1) }))
        }
        if beside > 0 {
            loads.append(("first token beside \(beside)", { try await firstToken(of: $0, seed: $1) }))
        }
        var seed: UInt64 = 1
        for run in 0...runs {
            for (name, work) in loads {
                // What the first leaves in the processor's caches, and on the clock, meets both in turn.
                for (side, completions) in run % 2 == 0 ? sides : sides.reversed() {
                    let before = try completions.processorSeconds()
                    let (tokens, seconds) = try await work(completions, seed)
                    let spent = try completions.processorSeconds() - before
                    guard run > 0 else { continue }
                    try Measurement.print(
                        Run(load: name, side: side, tokens: tokens, seconds: seconds, processorSeconds: spent))
                }
                seed += 100
            }
        }
    }

    private func rate(of side: any CompletionSide, seed: UInt64) async throws -> (Int, Double) {
        let requests = (0..<streams).map { ids(4, seed: seed + UInt64($0)) }
        let began = Monotonic.now()
        try await side.complete(requests, tokens: tokens)
        return (streams * tokens, began.seconds)
    }

    private func prompt(of count: Int, on side: any CompletionSide, seed: UInt64) async throws -> (Int, Double) {
        let request = ids(count, seed: seed)
        let began = Monotonic.now()
        try await side.complete([request], tokens: 1)
        return (count, began.seconds)
    }

    /// The median of five prompts, one after the other, while the same streams generate.
    private func firstToken(of side: any CompletionSide, seed: UInt64) async throws -> (Int, Double) {
        let neighbours = try await side.begin((0..<beside).map { ids(4, seed: seed + 50 + UInt64($0)) }, tokens: 3_000)
        var times: [Double] = []
        for turn in 0..<6 {
            let request = ids(200, seed: seed + UInt64(turn))
            let began = Monotonic.now()
            try await side.complete([request], tokens: 1)
            // During the first the neighbours may still compute their prompts.
            if turn > 0 { times.append(began.seconds) }
        }
        guard try await neighbours.end() == beside else {
            throw BenchError("the streams beside ended too soon: the model is too quick for this load")
        }
        return (200, times.median)
    }

    /// Token ids by a linear congruential generator (Knuth's MMIX constants).
    private func ids(_ count: Int, seed: UInt64) -> [UInt32] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return 256 + UInt32(state >> 33) % (vocabulary - 256)
        }
    }
}

/// One of the two that are compared.
protocol CompletionSide {
    /// Waits for all completions, and checks that each has so many tokens.
    func complete(_ prompts: [[UInt32]], tokens: Int) async throws
    /// Begins completions that go on meanwhile.
    func begin(_ prompts: [[UInt32]], tokens: Int) async throws -> any Neighbours
    func processorSeconds() throws -> Double
}

/// Completions that are being computed.
protocol Neighbours {
    /// Ends them; returns how many had not ended before.
    func end() async throws -> Int
}

/// The agent's model, asked on one connection.
struct HearthSide: CompletionSide {
    let agent: Agent

    func complete(_ prompts: [[UInt32]], tokens: Int) async throws {
        let client = try await agent.connect()
        let requests = prompts.map { request($0, tokens) }
        let all = try await withThrowingTaskGroup(of: Int.self) { group in
            for request in requests { group.addTask { try await TokenCounter.run(request, on: client) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        await client.close()
        guard all.allSatisfy({ $0 == tokens }) else { throw BenchError("the agent gave \(all) of \(tokens) tokens") }
    }

    func begin(_ prompts: [[UInt32]], tokens: Int) async throws -> any Neighbours {
        let client = try await agent.connect()
        let requests = prompts.map { request($0, tokens) }
        return HearthNeighbours(
            client: client,
            calls: requests.map { request in Task { try await TokenCounter.run(request, on: client) } })
    }

    func processorSeconds() throws -> Double { try Measurement.processorSecondsOfTree(agent.pid) }

    private func request(_ prompt: [UInt32], _ tokens: Int) -> Hearth_V1_GenerateRequest {
        .with {
            $0.model = agent.model
            $0.tokenIds.ids = prompt
            $0.sampling.temperature = 0
            $0.stopping.maxTokens = UInt32(clamping: tokens)
            $0.stopping.ignoreEndOfTurn = true
        }
    }
}

private struct HearthNeighbours: Neighbours {
    let client: Client
    let calls: [Task<Int, any Error>]

    func end() async throws -> Int {
        await client.close()
        var running = 0
        for call in calls where (try? await call.value) == nil { running += 1 }
        return running
    }
}

extension Monotonic {
    /// Passed since this moment.
    fileprivate var seconds: Double { Double(Monotonic.now().since(self)) / 1e9 }
}
