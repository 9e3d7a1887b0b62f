import EventLoop
import Foundation
import LaunchPlan
import LinuxSystem
import Polling
import SandboxLaunch
import Testing

@testable import BackendSupervisor

/// A process whose keeper is a script.
@Suite("BackendProcess", .timeLimit(.minutes(1)))
@IOLoop
struct BackendProcessTests {
    /// Waits for the next command and says whether it is the one that the keeper expects.
    private static let expect = """
        expect() { [ "$(dd bs=16 count=1 <&4 2>/dev/null | od -An -tu1 | tr -d ' \\n')" = "$1" ] || exit 9; }

        """

    /// What the watch told, and who waits for it.
    private final class Story {
        var end: LinuxSystem.ExitStatus?
        var output: [UInt8] = []
    }

    private func watched(_ script: String, _ story: Story) throws -> BackendProcess {
        let null = try Descriptor.open("/dev/null", O_RDONLY)
        let sockets = try Descriptor.socketPair()
        let keeper = try Socket.datagramPair()
        let log = try Descriptor.pipe()
        let pid = try ProcessSpawn.spawn(
            "/bin/sh", arguments: ["sh", "-c", Self.expect + script], environment: ["PATH=/usr/bin:/bin"],
            descriptors: [null.raw, log.second.raw, log.second.raw, sockets.second.raw, keeper.second.raw])
        let handles = SandboxedProcess(
            process: try ProcessHandle(child: pid), socket: sockets.takeFirst(), log: log.takeFirst(),
            keeper: keeper.takeFirst(), group: nil)
        return try BackendProcess(
            handles, limits: SupervisorConfiguration.Limits(), wrote: { story.output += $0 }, denied: { _ in },
            exited: { story.end = $1 })
    }

    private func until(_ condition: () -> Bool) async throws {
        let holds = try await eventually(isolation: IOLoop.shared) { condition() }
        #expect(holds)
    }

    /// A script that says these things.
    private func say(_ report: KeeperReport) -> String {
        "printf '" + report.encoded().map { byte in "\\" + octal(byte) }.joined() + "' >&4\n"
    }

    private func octal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 8)
        return String(repeating: "0", count: 3 - digits.count) + digits
    }

    @Test("it is frozen once its keeper says so, and until it is to be thawed")
    func freezes() async throws {
        let story = Story()
        let use = ResourceUse(processorMicroseconds: 1_000, memoryBytes: 1 << 20)
        let process = try watched(
            say(.started) + "expect 1\n" + say(.frozen) + "expect 2\n" + say(.thawed) + "expect 1\n" + say(.frozen)
                + say(.ended(.exited(125), use)) + "exit 7", story)
        #expect(!process.isFrozen)
        process.thaw()
        process.freeze()
        process.freeze()
        try await until { process.isFrozen }
        process.thaw()
        #expect(!process.isFrozen)
        process.freeze()
        try await until { story.end != nil }
        #expect(story.end == .exited(125), "by its keeper's word")
        #expect(process.use == use)
        #expect(!process.isFrozen && process.launchFailure == nil)
        process.freeze()
        #expect(!process.isFrozen)
    }

    @Test("a keeper that answers what it was not asked is killed", arguments: [KeeperReport.frozen, .thawed])
    func unasked(report: KeeperReport) async throws {
        let story = Story()
        let process = try watched(say(.started) + say(report) + "exec sleep 1000", story)
        try await until { story.end != nil }
        #expect(story.end == .signalled(9))
        #expect(process.launchFailure?.reason.contains("report: not at this time") == true)
        #expect(process.launchFailure?.hasBegun == true)
    }

    @Test("without its keeper's word, its launcher's end is its own")
    func silent() async throws {
        let story = Story()
        let process = try watched("exit 7", story)
        try await until { story.end != nil }
        #expect(story.end == .exited(7) && process.launchFailure == nil && process.use == nil)
    }
}
