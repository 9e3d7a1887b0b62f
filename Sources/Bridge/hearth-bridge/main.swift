// Serves HTTP to programs that do not speak gRPC. The agent starts it in a sandbox, with a listening socket, a socket to the
// agent and its settings; it opens nothing itself. It ends when the agent does.
internal import EventLoop
internal import GRPC
internal import Glibc
internal import HTTPProtocols
internal import LinuxSystem

/// Serves until the agent ends.
func run() async throws {
    let file = Descriptor(owning: BridgeSettings.Descriptors.settings)
    let settings = try BridgeSettings(json: FileBytes.read(file, max: BridgeSettings.bytesMax, name: "the settings"))
    // It has no way to another socket: when this one is lost, or the agent makes way for another, it ends, and the agent
    // starts a bridge anew.
    let agent = try await Client.connect(over: Descriptor(owning: 3))
    let bridge = try Bridge(agent: agent, settings: settings, limits: BridgeLimits())
    if settings.hasElder {
        await bridge.background.take(from: Descriptor(owning: BridgeSettings.Descriptors.elder))
    }
    bridge.security.whenRetired { [offer = bridge.offer] in
        Task { await offer.begin(on: Descriptor(owning: BridgeSettings.Descriptors.heir)) }
    }
    try LaterSettings.follow(Descriptor(owning: BridgeSettings.Descriptors.laterSettings)) { [bridge] in
        try bridge.security.take($0)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await HTTPServer(listener: BridgeSettings.Descriptors.listener, bridge: bridge).run() }
        group.addTask { try await bridge.untilDone() }
        try await group.next()
        exit(0)
    }
}

do {
    try await run()
} catch {
    print("hearth-bridge: \(error)")
    exit(1)
}
