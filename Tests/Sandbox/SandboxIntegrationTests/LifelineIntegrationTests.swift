import Foundation
import Polling
import Testing

/// No backend outlives the agent, whatever moment its death comes at.
@Suite(.serialized) struct LifelineIntegrationTests {
    private let stage: Stage
    private let token = "token-\(UUID().uuidString)"

    init() throws { stage = try Stage() }

    /// An agent that holds so many backends, and says "held".
    private func hold(_ count: Int, tier: String = "full") throws -> RunningProgram {
        try stage.driver(["hold", "\(count)", "--tier", tier, stage.probe, "hang", token])
    }

    /// Waits for as long as a test may; how fast it is belongs to the benchmark. What the last look found.
    private func waitUntilGone(besides agent: RunningProgram? = nil) async throws -> [Int32] {
        var left: [Int32] = []
        _ = try await eventually(within: 10) {
            left = stage.processes(token: token, besides: agent)
            return left.isEmpty
        }
        return left
    }

    @Test("when the agent is killed, none of its ten backends is left", arguments: ["full", "reduced"])
    func agentKilled(tier: String) async throws {
        let agent = try hold(10, tier: tier)
        _ = try #require(try agent.read(toLine: "held"), "the driver ended")
        #expect(stage.processes(token: token, besides: agent).count == (tier == "full" ? 30 : 20))
        agent.kill()
        #expect(try await waitUntilGone() == [])
    }

    /// `Scripts/death-race` does this a thousand times, and says how long it takes until nothing is left.
    @Test("an agent that is killed at any moment of a launch leaves nothing behind", arguments: ["full", "reduced"])
    func agentKilledEarly(tier: String) async throws {
        for _ in 0..<50 {
            let agent = try hold(3, tier: tier)
            try await Task.sleep(for: .microseconds(Int.random(in: 0...40_000)))
            agent.kill()
            #expect(try await waitUntilGone() == [])
        }
    }

    @Test("a launcher that is killed takes its backend with it, and the first process of the namespace too")
    func launcherKilled() async throws {
        for tier in ["full", "reduced"] {
            for victim in 0..<(tier == "full" ? 2 : 1) {
                let agent = try hold(1, tier: tier)
                _ = try #require(try agent.read(toLine: "held"), "the driver ended")
                let processes = stage.processes(token: token, besides: agent).sorted()
                try #require(processes.count == (tier == "full" ? 3 : 2))
                Foundation.kill(processes[victim], SIGKILL)
                #expect(try await waitUntilGone(besides: agent) == [])
                agent.kill()
            }
        }
    }
}
