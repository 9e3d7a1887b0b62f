internal import ArgumentParser
internal import EventLoop
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf

/// Where the agent to measure is.
struct Agent: ParsableArguments {
    @Option(help: "Its address.")
    var to: String
    @Option(help: "Its process, whose processor time is measured.")
    var pid: Int32
    @Option(help: "The model; an echo backend's.")
    var model = "echo"

    func connect() async throws -> Client { try await Client.connect(to: try SocketAddress(to)) }

    func request(tokens: Int, load: Load?) -> Hearth_V1_GenerateRequest {
        .with {
            $0.model = model
            $0.text = "benchmark"
            $0.stopping.maxTokens = UInt32(clamping: tokens)
            guard let load else { return }
            $0.backendOptions["burst"] = "\(load.burst)"
            if load.rate > 0 { $0.backendOptions["tokens_per_second"] = "\(load.rate)" }
        }
    }
}

struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay", abstract: "Stream tokens of an echo backend through the agent.")

    @OptionGroup var agent: Agent
    @OptionGroup var load: Load

    func run() async throws {
        var clients: [Client] = []
        for _ in 0..<load.connections { clients.append(try await agent.connect()) }
        let measurement = try Measurement(of: agent.pid)
        let request = agent.request(tokens: load.tokens, load: load)
        let connections = clients
        let tokens = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in connections {
                for _ in 0..<load.streams { group.addTask { try await TokenCounter.run(request, on: client) } }
            }
            return try await group.reduce(0, +)
        }
        var bytes: UInt64 = 0
        for client in connections { bytes += await client.bytesReceived }
        guard tokens == load.total else { throw BenchError("\(tokens) of \(load.total) tokens came") }
        try Measurement.print(try measurement.figures(tokens: tokens, bytes: bytes))
        for client in connections { await client.close() }
    }
}

/// Takes the events of one `Generate` call and looks only at the last one.
@IOLoop
final class TokenCounter: ClientCallHandler {
    private var tokens = 0
    private var ended: CheckedContinuation<Int, any Error>?

    /// The completion tokens, as `Usage` tells them.
    static func run(_ request: Hearth_V1_GenerateRequest, on client: Client) async throws -> Int {
        try await withCheckedThrowingContinuation { continuation in
            let counter = TokenCounter()
            counter.ended = continuation
            let call = client.start("/hearth.v1.Inference/Generate", handler: counter)
            call.send(request)
            call.endSending()
        }
    }

    func received(initialMetadata: Metadata) {}
    func sendBufferDrained() {}

    func received(_ message: UnsafeRawBufferPointer) {
        // `seq` comes first; the tag behind it tells a delta (0x22) from `usage` (0x32).
        var index = 1
        while index < message.count, message[index] & 0x80 != 0 { index += 1 }
        guard index + 1 < message.count, message[index + 1] == 0x32 else { return }
        tokens =
            (try? Hearth_V1_ChatEvent(serializedBytes: Array(message)))
            .map { Int($0.usage.completionTokens) } ?? 0
    }

    func finished(_ status: Status, trailers: Metadata) {
        if status.isOK { ended?.resume(returning: tokens) } else { ended?.resume(throwing: status) }
        ended = nil
    }
}

struct TurnsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "turns", abstract: "Ask for one token, again and again, and time each turn.")

    @OptionGroup var agent: Agent
    @Option(help: "Turns, after a tenth of as many that are not counted.")
    var turns = 2000

    struct Times: Codable {
        var turns: Int
        var medianMicroseconds: Double
        var p99Microseconds: Double
    }

    func run() async throws {
        let client = try await agent.connect()
        let request = agent.request(tokens: 1, load: nil)
        var times: [UInt64] = []
        for turn in 0..<turns + turns / 10 {
            let start = Monotonic.now()
            _ = try await TokenCounter.run(request, on: client)
            if turn >= turns / 10 { times.append(Monotonic.now().since(start)) }
        }
        times.sort()
        let at = { (share: Double) in Double(times[min(Int(share * Double(times.count)), times.count - 1)]) / 1000 }
        try Measurement.print(Times(turns: turns, medianMicroseconds: at(0.5), p99Microseconds: at(0.99)))
        await client.close()
    }
}
