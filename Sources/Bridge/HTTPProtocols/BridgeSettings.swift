internal import StrictJSON

/// What the agent tells the bridge when it starts it, in a sealed memory file: JSON, because a program in the sandbox sees
/// no arguments.
package struct BridgeSettings: Equatable, Sendable {
    /// The descriptors that the bridge is started with, besides the socket to the agent.
    package enum Descriptors {
        /// The listening socket.
        package static let listener: Int32 = 8
        /// The file of these settings.
        package static let settings: Int32 = 9
    }

    /// The longest text of them, in bytes.
    package static let bytesMax = 64 << 10

    /// Whether every request needs a key.
    package var requiresKey = false
    /// Names by which this host may be called, besides "localhost" and addresses.
    package var names: [String] = []
    /// The origins of pages that may call.
    package var origins: [String] = []

    package init(requiresKey: Bool = false, names: [String] = [], origins: [String] = []) {
        self.requiresKey = requiresKey
        self.names = names
        self.origins = origins
    }

    /// Reads their text. Throws for an unknown key, as for every setting that is not understood.
    package init(json: [UInt8]) throws {
        let node = try JSONNode.parse(json, file: "the settings")
        let reader = try JSONObjectReader(
            node, "the settings", keys: ["requiresKey", "names", "origins"], file: "the settings")
        requiresKey = try reader.bool("requiresKey") ?? false
        names = try reader.strings("names", max: 1_024)?.map(\.text) ?? []
        origins = try reader.strings("origins", max: 1_024)?.map(\.text) ?? []
    }

    /// Their text.
    package var json: [UInt8] {
        let object = JSONOutput.object([
            ("requiresKey", .bool(requiresKey)), ("names", .list(names.map { .string($0) })),
            ("origins", .list(origins.map { .string($0) })),
        ])
        return Array(object.text.utf8)
    }
}
