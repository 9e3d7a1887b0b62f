package import GRPC

/// The part of `AdminService` that who comes by the HTTP bridge with an owner's key may ask: what Docs/http.md lists. It is
/// served to the bridge only, whose gate asks for that key.
package struct BridgedAdmin: Service {
    /// Its methods. To end the agent, to put another one in its place, and to serve any file by its path are asked on
    /// the owner's socket only.
    package static let methods: Set = [
        "CreateKey", "Drain", "GetStatus", "ListBackends", "ListDenied", "ListKeys", "ListLimits", "ListModels",
        "ListTurns", "LoadModel", "Pause", "Pull", "ReadLog", "RestartBackend", "Resume", "RevokeKey", "ShowModel",
        "UnloadModel",
    ]

    package let name = AdminService.serviceName
    private let admin: AdminService

    package init(_ admin: AdminService) { self.admin = admin }

    package func method(_ name: String) -> Method? { Self.methods.contains(name) ? admin.method(name) : nil }
}
