internal import BackendSupervisor
internal import EventLoop
internal import Foundation
internal import GRPC
internal import InferenceService
internal import LaunchPlan
internal import LinuxSystem
internal import Logging
internal import SandboxLaunch
internal import SandboxPolicy

// The way of a token and nothing else: one backend, one address, no clock that would do something in between. Ends with its
// backend. `Tests/Cost/run` counts what it does.
//
//     token-path BACKENDS POLICIES LAUNCHER SOCKET

let arguments = CommandLine.arguments
guard arguments.count == 5 else {
    FileHandle.standardError.write(Data("usage: token-path BACKENDS POLICIES LAUNCHER SOCKET\n".utf8))
    exit(64)
}

/// Kept for as long as the process lives.
@IOLoop
enum Parts {
    static var supervisor: Supervisor?
    static var server: Server?
}

try await serve(backends: arguments[1], policies: arguments[2], launcher: arguments[3], socket: arguments[4])
while true { try await Task.sleep(for: .seconds(3_600)) }

@IOLoop
func serve(backends: String, policies: String, launcher: String, socket: String) throws {
    let supervisor = Supervisor(
        configuration: configuration(backends: backends, policies: policies, launcher: launcher),
        logger: Logger(label: "token-path") { _ in StreamLogHandler.standardError(label: "token-path") })
    supervisor.onChange = { backend in
        switch backend.state {
        case .backingOff, .failed, .stopped, .untrusted: exit(0)
        case .starting, .loading, .ready, .draining, .paused, .waiting, .unloaded: break
        }
    }
    let server = Server()
    server.register(InferenceService(supervisor: supervisor, limits: InferenceLimits()))
    try server.listen(on: .unix(path: socket))
    Parts.supervisor = supervisor
    Parts.server = server
    try supervisor.start()
}

@IOLoop
func configuration(backends: String, policies: String, launcher: String) -> SupervisorConfiguration {
    var configuration = SupervisorConfiguration(
        backendsDirectory: backends, policiesDirectory: policies, launcherPath: launcher, tier: .reduced,
        host: SandboxHost.find(claimingControlGroups: false), owner: OwnerLimits(threads: 1))
    configuration.limits.rescanMilliseconds = 0
    configuration.limits.pingIntervalMilliseconds = 3_600_000
    configuration.limits.helloMilliseconds = 120_000
    return configuration
}
