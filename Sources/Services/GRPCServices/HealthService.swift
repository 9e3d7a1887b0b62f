package import EventLoop
package import GRPC
internal import GRPCMessages
internal import SwiftProtobuf

/// `grpc.health.v1.Health`: whether this server, or a part of it, can take calls now (grpc/doc/health-checking.md).
/// `update` sets what it answers; it lives on the I/O loop.
@IOLoop
package final class HealthService: Service {
    package enum Health: Sendable, Hashable {
        case serving, notServing
    }

    nonisolated package let name = "grpc.health.v1.Health"
    private var table = HealthTable()
    private var watchers: [String: [ObjectIdentifier: HealthWatch]] = [:]
    private var hasEnded = false
    private var endsWatches = false

    nonisolated package init() {}

    nonisolated package func method(_ name: String) -> Method? {
        let limits = GRPCServicesLimits.inForce
        return switch name {
        case "Check":
            Method.immediate { [self] (request, _) throws(Status) in try check(request) }
                .taking(messageBytesMax: limits.healthRequestBytesMax)
        case "List":
            Method.immediate { [self] (_: Grpc_Health_V1_HealthListRequest, _) in list() }
                .taking(messageBytesMax: limits.healthRequestBytesMax)
        case "Watch":
            Method { call in HealthWatch(call, service: self) }.taking(messageBytesMax: limits.healthRequestBytesMax)
        default: nil
        }
    }

    /// Sets the health of all services, by name; the empty name is the server as a whole. Clients that watch a name are
    /// told when its health has changed.
    package func update(_ health: [String: Health]) {
        guard !hasEnded else { return }
        tell(table.update(health))
    }

    /// Makes everything NOT_SERVING from here on, whatever `update` says. Clients that watch are told that, and then
    /// their calls end UNAVAILABLE: a watch lasts as long as its server, so a drain must not wait for it.
    package func end() {
        guard !hasEnded else { return }
        hasEnded = true
        tell(table.stopServing())
        endWatches()
    }

    /// Ends present and later `Watch` calls UNAVAILABLE: another process has taken over, and can be watched instead.
    package func endWatches() {
        endsWatches = true
        let watchers = watchers.values.flatMap(\.values)
        self.watchers.removeAll()
        for watcher in watchers { watcher.end() }
    }

    private func tell(_ changed: Set<String>) {
        for name in changed {
            for watcher in (watchers[name] ?? [:]).values { watcher.tell(table.statuses[name].watched) }
        }
    }

    private func check(
        _ request: Grpc_Health_V1_HealthCheckRequest
    ) throws(Status) -> Grpc_Health_V1_HealthCheckResponse {
        if let refusal = HealthService.refusal(ofName: request.service) { throw refusal }
        guard let health = table.statuses[request.service] else {
            throw Status(.notFound, "there is no service '\(request.service)'; List names those that there are")
        }
        return .with { $0.status = health.answered }
    }

    fileprivate static func refusal(ofName name: String) -> Status? {
        let most = GRPCServicesLimits.inForce.serviceNameBytesMax
        guard name.utf8.count > most else { return nil }
        let description = "a service's name has at most \(most) bytes (serviceNameBytesMax)"
        return Status(
            .invalidArgument, description, details: [.badRequest(field: "service", description: description)])
    }

    private func list() -> Grpc_Health_V1_HealthListResponse {
        .with { $0.statuses = table.statuses.mapValues { health in .with { $0.status = health.answered } } }
    }
}

extension HealthService {
    fileprivate func add(_ watcher: HealthWatch, of service: String) {
        watcher.tell(table.statuses[service].watched)
        if endsWatches { return watcher.end() }
        watchers[service, default: [:]][ObjectIdentifier(watcher)] = watcher
    }

    fileprivate func remove(_ watcher: HealthWatch, of service: String) {
        watchers[service]?[ObjectIdentifier(watcher)] = nil
        if watchers[service]?.isEmpty == true { watchers[service] = nil }
    }
}

/// A `Watch` call. A client that does not read misses intermediate states, never the current one.
@IOLoop
private final class HealthWatch: CallHandler {
    typealias Health = Grpc_Health_V1_HealthCheckResponse.ServingStatus

    private let call: ServerCall
    private let service: HealthService
    private var watched: String?
    private var sent: Health?
    private var latest: Health?

    init(_ call: ServerCall, service: HealthService) {
        self.call = call
        self.service = service
        call.awaitRequest()
    }

    func received(_ message: UnsafeRawBufferPointer) {
        guard watched == nil else {
            return end(Status(.internalError, "Watch takes one request, and a second one came"))
        }
        guard let request = try? Grpc_Health_V1_HealthCheckRequest(serializedBytes: Array(message)) else {
            return end(Status(.internalError, "the message is no grpc.health.v1.HealthCheckRequest"))
        }
        // A name this short takes little memory beside its stream, so `keep` is not called for it.
        if let refusal = HealthService.refusal(ofName: request.service) { return end(refusal) }
        call.requestCame()
        watched = request.service
        service.add(self, of: request.service)
    }

    func receivedEnd() {
        if watched == nil { end(Status(.internalError, "Watch takes one request, and none was sent")) }
    }

    func tell(_ health: Health) {
        latest = health
        sendBufferDrained()
    }

    func sendBufferDrained() {
        guard let latest, latest != sent, !call.isCongested else { return }
        sent = latest
        call.send(Grpc_Health_V1_HealthCheckResponse.with { $0.status = latest })
    }

    func cancelled(_ status: Status) { forget() }

    func end() { end(Status(.unavailable, "this server is shutting down; watch another one")) }

    private func end(_ status: Status) {
        forget()
        call.finish(status)
    }

    private func forget() {
        if let watched { service.remove(self, of: watched) }
    }
}

extension HealthService.Health {
    fileprivate var answered: Grpc_Health_V1_HealthCheckResponse.ServingStatus {
        switch self {
        case .serving: .serving
        case .notServing: .notServing
        }
    }
}

extension HealthService.Health? {
    fileprivate var watched: Grpc_Health_V1_HealthCheckResponse.ServingStatus { self?.answered ?? .serviceUnknown }
}
