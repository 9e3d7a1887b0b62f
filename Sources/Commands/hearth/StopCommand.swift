internal import ArgumentParser
internal import Foundation
internal import HostAgent
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf

struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "End the agent, and wait until it has ended.",
        discussion: """
            It ends as on SIGTERM: it takes no new calls, gives open streams the time that 'hearth serve' was given \
            with --grace, and ends its backends. The streams of a paused agent end at once. Asked a second time, it \
            ends at once. What 'hearth pause' and 'hearth drain' have asked for is in force again when it starts. \
            Where no agent runs, what one that died has left (--survive-crash) is ended.

            EXAMPLES
              hearth stop
            """)

    @OptionGroup var owner: OwnerOptions
    @Flag(help: "Say nothing, and succeed, where no agent runs and none has left anything.")
    var ifRunning = false

    mutating func run() async throws {
        let agent: OwnerConnection
        do {
            agent = try await OwnerConnection.open(state: owner.state)
        } catch let error as Unreachable where !error.isForbidden {
            return try await endLeftBehind(orThrow: error)
        }
        let status: Hearth_Admin_V1_Status = try await agent.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest())
        // Opened before it is asked, so that its number is not yet another process's.
        let process = Self.process(status.pid)
        do {
            let _: Hearth_Admin_V1_StopResponse = try await agent.ask("Stop", Hearth_Admin_V1_StopRequest())
        } catch let error as Unreachable {
            // An agent without open calls may be gone before its answer has come.
            guard process?.waitForEnd(milliseconds: Self.lastMilliseconds) == true else { throw error }
        }
        guard let process else {
            throw Refusal(
                "the agent was asked to stop; its process (\(status.pid)) cannot be seen from here, so look there whether "
                    + "it has ended")
        }
        await Self.waitForEnd(process)
        if owner.json { return Output.json(try Hearth_Admin_V1_StopResponse.with { $0.pid = status.pid }.jsonString()) }
        Output.print("The agent with pid \(status.pid) has ended.")
    }

    /// No agent runs; one that died may have left what it kept.
    private func endLeftBehind(orThrow error: Unreachable) async throws {
        let environment = ProcessInfo.processInfo.environment
        guard let count = try await LeftBehind.end(state: owner.state, environment: environment) else {
            if ifRunning { return }
            throw error
        }
        if owner.json { return Output.json(try Hearth_Admin_V1_StopResponse().jsonString()) }
        Output.print("No agent runs. \(count) backends and turns that one had left when it died have ended.")
    }

    /// How long the process may take to end whose connection is lost.
    private static let lastMilliseconds: Int32 = 5_000

    /// Nil where no agent has this process id here: it may run in a PID namespace of its own.
    private static func process(_ pid: Int32) -> ForeignProcess? {
        guard let name = try? FileBytes.readPseudo("/proc/\(pid)/comm", max: 64), name == Array("hearth\n".utf8) else {
            return nil
        }
        return try? ForeignProcess(pid)
    }

    private static func waitForEnd(_ process: ForeignProcess) async {
        await withCheckedContinuation { continuation in
            do throws(LinuxError) {
                try DetachedThread.run {
                    process.waitForEnd()
                    continuation.resume()
                }
            } catch {
                process.waitForEnd()
                continuation.resume()
            }
        }
    }
}
