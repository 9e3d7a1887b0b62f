import Foundation
import HandOver
import LaunchPlan
import LinuxSystem
import Logging
import Polling
import TestPlaces
import Testing

/// A backend in its sandbox, whose agent has given it to a holder and is killed then.
@Suite(.serialized) struct SurvivalIntegrationTests {
    private let stage: Stage
    private let token = "token-\(UUID().uuidString)"

    init() throws { stage = try Stage() }

    private var folder: String { "\(stage.folder)/writable" }

    /// An agent whose backend answers over its socket, and would be kept for so many seconds.
    private func agent(tier: String, seconds: Int) throws -> RunningProgram {
        let agent = try stage.driver(["keep", "--tier", tier, stage.probe, "echo", token])
        _ = try #require(try agent.read(toLine: "started"), "the driver ended")
        let holder = try stage.add(Built.path("hearth-holder"), as: "hearth-holder")
        try agent.write("survive \(seconds) \(holder) \(folder)")
        _ = try #require(try agent.read(toLine: "kept"), "the driver ended")
        return agent
    }

    private func waitUntilGone() async throws -> Bool {
        try await eventually { stage.processes(token: token).isEmpty }
    }

    private func bytes(from raw: CInt) throws -> [UInt8] {
        try #require(try !Poll.wait(raw, for: .readable, nanoseconds: 30_000_000_000).isEmpty)
        var bytes = [UInt8](repeating: 0, count: 256)
        return Array(bytes[..<max(read(raw, &bytes, bytes.count), 0)])
    }

    private func report(from keeper: CInt) throws -> KeeperReport { try KeeperReport(decoding: bytes(from: keeper)) }

    /// As the next agent; closes what it took.
    private func goOn(with parcel: Parcel) throws {
        guard let socket = parcel.take(1), let keeper = parcel.take(2) else {
            Issue.record("the backend's parcel has no sockets")
            return
        }
        #expect(try report(from: keeper.raw) == .frozen)
        // What is asked of it meanwhile waits.
        #expect(send(socket.raw, "again", 5, 0) == 5)
        #expect(try Socket.sendDatagram(keeper.raw, KeeperCommand.thaw.encoded(), waits: true))
        #expect(try report(from: keeper.raw) == .thawed)
        #expect(try bytes(from: socket.raw) == Array("again".utf8))
    }

    @Test("it stands still until the next agent goes on with it", arguments: ["full", "reduced"])
    func goesOn(tier: String) async throws {
        let agent = try agent(tier: tier, seconds: 600)
        let processes = stage.processes(token: token, besides: agent)
        #expect(processes.count == (tier == "full" ? 3 : 2))
        agent.kill()
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let left = try #require(await LeftParcels.find(state: folder, logger: quiet))
        await left.letGo()
        var parcels = left.parcels
        #expect(parcels.count == 1)
        #expect(stage.processes(token: token) == processes)
        try goOn(with: parcels[0])
        // An agent that dies now takes it along.
        parcels = []
        #expect(try await waitUntilGone())
    }

    @Test("after the time none of its processes is left", arguments: ["full", "reduced"])
    func ends(tier: String) async throws {
        let agent = try agent(tier: tier, seconds: 1)
        agent.kill()
        #expect(try await waitUntilGone())
    }
}
