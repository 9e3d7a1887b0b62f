internal import Cryptography
package import EventLoop
package import GRPC
package import LinuxSystem
package import Logging
internal import TerminalText

/// Traces what the agent does for its consumers: decides which turns are traced, and exports their spans by OTLP over gRPC.
/// `SpanExport` decides when. On the loop.
///
/// The collector never holds up anything else: spans beyond the bounds are dropped and counted.
@IOLoop
package final class Tracer {
    package struct Setup: Sendable {
        /// The collector, as its owner wrote it.
        package var endpoint: String
        package var address: SocketAddress
        package var security: ClientSecurity
        /// What every export carries; it may hold a secret.
        package var headers: Metadata
        /// The part of the turns whose callers do not say whether they are traced, from 0 to 1.
        package var ratio: Double
        /// The agent's version.
        package var version: String
        package var hostName: String

        package init(
            endpoint: String, address: SocketAddress, security: ClientSecurity, headers: Metadata, ratio: Double,
            version: String, hostName: String
        ) {
            self.endpoint = endpoint
            self.address = address
            self.security = security
            self.headers = headers
            self.ratio = ratio
            self.version = version
            self.hostName = hostName
        }
    }

    /// How the export goes.
    package struct Report: Sendable {
        package let endpoint: String
        package let state: State
        /// Why the last export failed; empty where it did not.
        package let detail: String
        /// Since when exports fail, in milliseconds since 1970; 0 while they do not.
        package let failingSince: UInt64
        package let exported: UInt64
        package let dropped: UInt64
        package let waiting: Int
    }

    package enum State: String, Sendable {
        /// Nothing was exported yet.
        case idle
        case exporting
        case failing
    }

    nonisolated private let setup: Setup
    private let limits: TracingLimits
    private let logger: Logger
    private let client: Client
    private let resource: [Span.Attribute]
    private var export: SpanExport
    private var timer: Timer?
    private var hasExported = false
    private var failure: (reason: String, since: UInt64)?
    private var toldDropped: UInt64 = 0
    private var isTellingDropped = false
    private var stopWaiters: [CheckedContinuation<Void, Never>] = []
    /// What consumers call, for every turn's span.
    package private(set) var server: [Span.Attribute] = []

    private static let tellDroppedMilliseconds: UInt64 = 60_000

    package init(_ setup: Setup, limits: TracingLimits = .inForce, logger: Logger) {
        self.setup = setup
        self.limits = limits
        self.logger = logger
        client = Client(to: setup.address, security: setup.security)
        resource = [
            Span.Attribute("service.name", .text("hearth")), Span.Attribute("service.version", .text(setup.version)),
            Span.Attribute("host.name", .text(setup.hostName)),
        ]
        export = SpanExport(limits)
    }

    /// Consumers are served on this address.
    package func serves(on address: SocketAddress) {
        switch address {
        case .internet(let host, let port):
            server = [
                Span.Attribute("server.address", .text(host)), Span.Attribute("server.port", .number(Int64(port))),
            ]
        case .unix(let path): server = [Span.Attribute("server.address", .text(path))]
        }
    }

    /// The place of a new span that belongs to a call with this metadata; nil: it is not recorded.
    package func begin(_ metadata: Metadata) -> SpanPlace? {
        let parent = TraceContext(metadata)
        let isSampled = parent?.isSampled ?? (setup.ratio >= 1 || Double.random(in: 0..<1) < setup.ratio)
        guard isSampled else { return nil }
        return SpanPlace(
            traceID: parent?.traceID ?? SecretBytes.random(16), id: SecretBytes.random(8),
            parentID: parent?.spanID ?? [], state: parent?.state ?? "")
    }

    /// The most that a span tells of what happened.
    package var eventsMax: Int { limits.eventsPerSpanMax }

    package func take(_ spans: [Span]) {
        export.add(spans.map(OTLP.span), at: .now())
        goOn()
    }

    package var report: Report {
        let state: State = failure != nil ? .failing : hasExported ? .exporting : .idle
        return Report(
            endpoint: setup.endpoint, state: state, detail: failure?.reason ?? "", failingSince: failure?.since ?? 0,
            exported: export.exported, dropped: export.dropped, waiting: export.waitingCount)
    }

    /// Exports what is left, if the collector takes it within this time, and ends.
    package func stop(withinMilliseconds milliseconds: UInt64) async {
        export.stop(at: .now())
        goOn()
        if !export.isDone {
            let most = IOLoop.schedule(afterMilliseconds: min(milliseconds, limits.lastExportMilliseconds)) {
                [weak self] in
                self?.export.abandon()
                self?.goOn()
            }
            await withCheckedContinuation { stopWaiters.append($0) }
            most.cancel()
        }
        tellDropped()
        client.close()
    }

    private func goOn() {
        timer?.cancel()
        timer = nil
        let now = Monotonic.now()
        if let spans = export.next(at: now) {
            send(spans)
        } else if let due = export.due {
            timer = IOLoop.schedule(afterMilliseconds: due.since(now) / 1_000_000 + 1) { [weak self] in self?.goOn() }
        }
        if export.dropped > toldDropped, !isTellingDropped {
            isTellingDropped = true
            IOLoop.schedule(afterMilliseconds: Self.tellDroppedMilliseconds) { [weak self] in self?.tellDropped() }
        }
        guard export.isDone else { return }
        let waiters = stopWaiters
        stopWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    private func send(_ spans: [[UInt8]]) {
        let request = OTLP.request(resource: resource, scope: ("hearth", setup.version), spans: spans)
        let options = CallOptions(metadata: setup.headers, timeoutMilliseconds: limits.exportMilliseconds)
        let call = client.serverStreaming(OTLP.exportPath, bytes: request, options: options)
        Task { [weak self] in
            do {
                var answer: [UInt8] = []
                for try await message in call.responses { answer = message }
                self?.accepted(answer)
            } catch {
                self?.refused(Status(describing: error))
            }
        }
    }

    private func accepted(_ answer: [UInt8]) {
        let partial = (try? OTLP.partialSuccess(answer)) ?? nil
        export.accepted(rejected: partial?.rejectedSpans ?? 0)
        if let partial {
            let words = printable(partial.message.utf8.prefix(256))
            logger.warning(
                "the collector of traces has not taken all",
                metadata: ["rejected": "\(partial.rejectedSpans)", "message": "\(words)"])
        }
        if failure != nil { logger.notice("traces are exported again", metadata: ["endpoint": "\(setup.endpoint)"]) }
        hasExported = true
        failure = nil
        goOn()
    }

    private func refused(_ status: Status) {
        export.refused(status, chance: .random(in: -1...1), at: .now())
        let words = printable(status.description.utf8.prefix(512))
        if failure == nil {
            logger.warning(
                "traces cannot be exported; spans wait, and are dropped when there are too many",
                metadata: ["endpoint": "\(setup.endpoint)", "reason": "\(words)"])
        }
        failure = (words, failure?.since ?? WallClock.now().nanoseconds / 1_000_000)
        goOn()
    }

    private func tellDropped() {
        isTellingDropped = false
        let count = export.dropped - toldDropped
        guard count > 0 else { return }
        toldDropped = export.dropped
        logger.warning("spans were not exported and are dropped", metadata: ["count": "\(count)"])
    }
}

/// Where a new span stands in its trace.
package struct SpanPlace: Sendable, Equatable {
    package let traceID: [UInt8]
    package let id: [UInt8]
    /// Empty: it is the first.
    package let parentID: [UInt8]
    package let state: String

    package init(traceID: [UInt8], id: [UInt8], parentID: [UInt8], state: String) {
        self.traceID = traceID
        self.id = id
        self.parentID = parentID
        self.state = state
    }
}
