internal import EventLoop
internal import Foundation
internal import HostAgent
internal import LinuxSystem
internal import Logging
internal import Settings

/// The life of `hearth serve`, driven by one stream of events.
struct ServeSession {
    /// The time for open streams after a hand-over. It is long, because the successor serves already and no stream
    /// should be lost.
    private static let handOverSeconds: UInt64 = 3_600

    private enum Event: Sendable {
        case started
        case refused(HostError)
        case signal(Int32)
        case reloaded
        case handOver(successor: Int32)
        case stopped
    }

    let agent: HostAgent
    let logger: Logger
    let graceSeconds: UInt32
    /// A pipe at whose end the agent stops; nil: none.
    let untilClosed: Int32?
    /// Where the log goes once this agent has taken over; nil: where it goes before.
    let laterLog: LaterLog?
    /// Is told what the agent does, as long as this is the service's main process; nil: there is none.
    let manager: ServiceManager?

    /// Starts the agent, and returns when it has stopped. Throws why it could not start.
    func run(takingOver: Bool) async throws {
        let (events, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
        let terminal = ControllingTerminal()
        let signals = try await SignalStream.make()
        Task { for await number in signals { continuation.yield(.signal(number)) } }
        if let untilClosed {
            Thread.detachNewThread {
                var byte: UInt8 = 0
                while read(untilClosed, &byte, 1) > 0 || errno == EINTR {}
                continuation.yield(.signal(SIGTERM))
            }
        }
        let agent = self.agent
        Task {
            do throws(HostError) {
                try await agent.start(takingOver: takingOver) {
                    // Before the successor has its answer, and says that it is ready: the manager listens to the main
                    // process only. Nothing is said by this one after it.
                    tell(.mainProcess($0))
                    continuation.yield(.handOver(successor: $0))
                } onStop: {
                    continuation.yield(.signal(SIGTERM))
                }
                continuation.yield(.started)
            } catch {
                continuation.yield(.refused(error))
            }
        }
        var isStopping = false
        var hasMadeWay = false
        var ready = ""
        func stop(graceSeconds: UInt64) {
            isStopping = true
            Task {
                await agent.stop(graceMilliseconds: graceSeconds * 1_000)
                continuation.yield(.stopped)
            }
        }
        for await event in events {
            switch event {
            case .started:
                laterLog?.begin()
                ready = await announce()
                if !isStopping { tell(.ready(status: ready)) }
            // The agent was asked to stop meanwhile.
            case .refused where isStopping: break
            case .refused(let error): throw error
            case .signal(SIGHUP) where !terminal.isGone:
                logger.notice("SIGHUP: reading settings, certificates and keys again")
                guard !hasMadeWay else { break }
                if !ready.isEmpty { tell(.reloading(since: .awake())) }
                // It logs what comes of it.
                Task {
                    _ = try? await agent.reload()
                    continuation.yield(.reloaded)
                }
            case .reloaded: if !hasMadeWay, !isStopping, !ready.isEmpty { tell(.ready(status: ready)) }
            case .signal(SIGHUP) where isStopping: break
            case .signal where isStopping:
                logger.notice("stopping at once")
                stop(graceSeconds: 0)
            case .signal:
                logger.notice("stopping: open streams have \(graceSeconds) s to end")
                // One that has not taken over yet is not the main process.
                if !hasMadeWay, !ready.isEmpty { tell(.stopping(status: "open streams have \(graceSeconds) s to end")) }
                stop(graceSeconds: UInt64(graceSeconds))
            case .handOver where isStopping: break
            case .handOver(let successor):
                hasMadeWay = true
                logger.notice("making way for pid \(successor): open streams go on to their ends")
                Task {
                    await agent.handOver(graceMilliseconds: ServeSession.handOverSeconds * 1_000)
                    continuation.yield(.stopped)
                }
            case .stopped: return
            }
        }
    }

    private func tell(_ notice: ServiceNotice) {
        do throws(LinuxError) {
            try manager?.tell(notice)
        } catch {
            logger.warning("\(error)")
        }
    }

    /// Announces on standard output that consumers can connect, and logs the certificate's fingerprint. Returns where it
    /// accepts them.
    private func announce() async -> String {
        let addresses = await agent.listeners.map { "\($0.address) (\($0.security))" }.joined(separator: ", ")
        Output.announce("hearth: accepting on \(addresses), pid \(ProcessInfo.processInfo.processIdentifier)\n")
        for connection in await agent.firstConnections {
            Output.announce("hearth: connect with (shown this once): \(connection)\n")
        }
        if let fingerprint = await agent.certificateFingerprint { logger.notice("certificate SHA-256 \(fingerprint)") }
        return "accepting on \(addresses)"
    }
}
