package import EventLoop
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import ModelPull
internal import SwiftProtobuf

/// The pulls under way: each is a process of its own, and ends with the call that asked for it.
@IOLoop
package final class PullDesk {
    /// What a pull needs to begin.
    package struct Place: Sendable {
        /// The path of hearth-pull; nil: it is not installed.
        let program: String?
        /// The folder that models are put into; nil: there is none.
        let folder: String?
        /// The environment of hearth-pull.
        let variables: [String: String]

        package init(program: String?, folder: String?, environment: [String: String]) {
            self.program = program
            self.folder = folder
            variables = environment.filter { Self.isPassedOn.contains($0.key) }
        }

        /// Where proxies, certificates and credentials are, and the helpers that are asked for these.
        private static let isPassedOn: Set = [
            "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
            "SSL_CERT_FILE", "HOME", "PATH", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR",
            "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS",
        ]
    }

    private let place: Place
    /// By the order in which they were asked for.
    private var pulls: [UInt64: Hearth_Admin_V1_Pull] = [:]
    private var lastNumber: UInt64 = 0

    private static let pullsMax = 4

    nonisolated init(_ place: Place) { self.place = place }

    var list: [Hearth_Admin_V1_Pull] { pulls.sorted { $0.key < $1.key }.map(\.value) }

    /// Runs one pull, and returns after its last event was sent.
    func pull(
        _ request: Hearth_Admin_V1_PullRequest, send: @Sendable (Hearth_Admin_V1_PullProgress) async throws -> Void
    ) async throws {
        let order = try order(request)
        guard pulls.count < Self.pullsMax else {
            throw Status(
                .resourceExhausted,
                "\(Self.pullsMax) models are on their way already: wait for one, or end one with Ctrl-C")
        }
        lastNumber += 1
        let number = lastNumber
        pulls[number] = .with {
            $0.source = order.request.source
            $0.state = PullEvent.Kind.resolving.rawValue
        }
        defer { pulls[number] = nil }
        let variables = place.variables
        // Starting it may wait for the disk.
        let process = try await Task.detached {
            do throws(PullFailure) {
                return try PullProcess(path: order.program, request: order.request, variables: variables)
            } catch {
                throw Status(.failedPrecondition, error.description)
            }
        }.value
        while let event = await process.next() {
            note(event, number)
            try await send(AdminAnswers.described(event))
        }
    }

    private func note(_ event: PullEvent, _ number: UInt64) {
        guard event.kind == .verifying || event.kind == .downloading else { return }
        pulls[number]?.state = event.kind.rawValue
        pulls[number]?.doneBytes = event.done
        pulls[number]?.totalBytes = event.total
    }

    /// What to start; throws for a request that cannot be fulfilled here.
    private func order(
        _ request: Hearth_Admin_V1_PullRequest
    ) throws(Status) -> (program: String, request: PullRequest) {
        do throws(PullFailure) {
            let sha256 = request.sha256.isEmpty ? nil : request.sha256
            let id = request.model.isEmpty ? nil : request.model
            let source = try PullSource.parse(request.source, sha256: sha256)
            _ = try PulledName(of: source, as: id)
            if case .file = source { throw PullFailure(.usage, "a file is brought by 'hearth pull' itself") }
            guard let folder = place.folder else {
                throw PullFailure(.refused, "this agent has no folder of models: name one with --models")
            }
            guard let program = place.program else {
                throw PullFailure(.refused, "hearth-pull is missing on this machine; install Hearth again")
            }
            if let doubt = PathTrust.doubt(about: program, .launcher) { throw PullFailure(.refused, doubt) }
            return (program, PullRequest(source: request.source, sha256: sha256, id: id, folder: folder))
        } catch {
            throw Status(error.kind == .usage ? .invalidArgument : .failedPrecondition, error.description)
        }
    }
}
