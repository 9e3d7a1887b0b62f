internal import EventLoop
internal import GRPC
internal import Glibc
internal import InferenceMessages
internal import Installation
internal import LinuxSystem
internal import Logging
internal import Settings
internal import SwiftProtobuf

/// Starts a new agent in the place of this one, one at a time, and waits until it has taken over as any other does
/// (`Predecessor`), or has ended. Until then this agent goes on as though nothing were happening.
@IOLoop
final class UpgradeDesk {
    /// How this agent was started, and is started again.
    struct Place: Sendable {
        /// The path of its executable.
        let executable: String
        let arguments: [String]
        let environment: [String: String]
        /// Where its state lies.
        let state: String
        /// The same for a service of the machine; nil for other agents.
        let serviceState: String?
    }

    /// How long the new agent may take to tell its version.
    private static let versionMilliseconds: UInt64 = 5_000

    private let place: Place
    private let logger: Logger
    private var successor: SuccessorProcess?
    private var isStarting = false
    private var isStopping = false

    nonisolated init(_ place: Place, logger: Logger) {
        self.place = place
        self.logger = logger
    }

    /// Returns once a new agent has taken over. `program`: its path; empty: that of this agent's executable, as the file
    /// lies there now. A call that is cancelled ends the new agent.
    func upgrade(to program: String) async throws(Status) -> (pid: Int32, version: String) {
        if let successor, successor.comesUp {
            throw Status(
                .failedPrecondition, "an upgrade is under way already: the new agent with pid \(successor.pid) comes up"
            )
        }
        guard getpid() != 1 else {
            throw Status(
                .failedPrecondition,
                "the agent is process 1 of its container, which ends with it: have an init start it (docker run --init)"
            )
        }
        guard !isStarting else { throw Status(.failedPrecondition, "an upgrade is under way already") }
        isStarting = true
        let started: SuccessorProcess
        do {
            defer { isStarting = false }
            started = try await start(program)
        }
        successor = started
        if isStopping { started.end(.stopped) }
        let result = await withTaskCancellationHandler {
            await started.result()
        } onCancel: {
            Task { @IOLoop in started.end(.givenUp) }
        }
        try result.get()
        return (started.pid, await version())
    }

    /// Another agent takes over from this one, started by it or not.
    func takesOver(_ pid: Int32) { successor?.takesOver(pid) }

    /// Starts no new agent any more, and ends one that has not taken over; returns once that has ended.
    func stop() async {
        isStopping = true
        guard let successor else { return }
        successor.end(.stopped)
        _ = await successor.result()
    }

    private func start(_ program: String) async throws(Status) -> SuccessorProcess {
        let path = program.isEmpty ? place.executable : program
        guard path.hasPrefix("/") else { throw Status(.invalidArgument, "'\(path)' is no absolute path of a program") }
        let arguments = try SuccessorCommand.arguments(
            place.arguments, environment: place.environment, serviceState: place.serviceState)
        let environment = place.environment
        // Starting it may wait for the disk.
        let result = await Task.detached { () -> Result<StartedSuccessor, Status> in
            do {
                return .success(try StartedSuccessor(path, arguments: arguments, environment: environment))
            } catch {
                return .failure(Status(.failedPrecondition, "no new agent can be started: \(error)"))
            }
        }.value
        let started = try result.get()
        logger.notice("started \(started.program) with pid \(started.pid), to take over from this agent")
        do throws(LinuxError) {
            return try SuccessorProcess(started, limits: .inForce, logger: logger)
        } catch {
            started.send(SIGKILL)
            throw Status(.internalError, "the new agent cannot be watched: \(error)")
        }
    }

    /// That of the agent that serves the owner now; empty where it does not tell.
    private func version() async -> String {
        guard let address = try? SocketAddress("unix:\(place.state)/admin.sock"),
            let client = try? await Client.connect(to: address)
        else { return "" }
        var options = CallOptions()
        options.timeoutMilliseconds = Self.versionMilliseconds
        let status: Hearth_Admin_V1_Status? = try? await client.unary(
            "/hearth.admin.v1.Admin/GetStatus", Hearth_Admin_V1_GetStatusRequest(), options: options)
        client.close()
        return status?.version ?? ""
    }
}
