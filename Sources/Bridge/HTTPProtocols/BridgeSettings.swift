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
        /// A socket on which later settings come while the bridge runs, each after its length: four bytes, most
        /// significant first.
        package static let laterSettings: Int32 = 10
        /// A socket on which the bridge that takes this one's place takes the responses in the background, once this one
        /// retires.
        package static let heir: Int32 = 11
        /// That of the bridge whose place this one takes; only where `hasElder` says so.
        package static let elder: Int32 = 12
    }

    /// TLS, in PEM texts, because the bridge sees no file.
    package struct TLS: Equatable, Sendable {
        /// The certificate, then those that lead to a root.
        package var certificateChain: String
        /// Its key, unencrypted.
        package var privateKey: String
        /// Clients must show a certificate that one of these signed; nil: they show none.
        package var clientAuthorities: String?
        /// The only names of such certificates that may call; empty: all.
        package var clientSubjects: [String]
        package var acceptsTLS12: Bool

        package init(
            certificateChain: String, privateKey: String, clientAuthorities: String? = nil,
            clientSubjects: [String] = [], acceptsTLS12: Bool = false
        ) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
            self.clientAuthorities = clientAuthorities
            self.clientSubjects = clientSubjects
            self.acceptsTLS12 = acceptsTLS12
        }
    }

    /// The longest text of them, in bytes. The buffer of a socket takes one at once.
    package static let bytesMax = 128 << 10

    /// Whether every request needs a key.
    package var requiresKey = false
    /// Names by which this host may be called, besides "localhost" and addresses.
    package var names: [String] = []
    /// The origins of pages that may call.
    package var origins: [String] = []
    /// Nil: HTTP is served without TLS.
    package var tls: TLS?
    /// Whether another bridge accepts the connections from now on: this one ends those that it has with their next answers, and
    /// then itself.
    package var retires = false
    /// Whether another bridge has responses for this one.
    package var hasElder = false

    package init(requiresKey: Bool = false, names: [String] = [], origins: [String] = [], tls: TLS? = nil) {
        self.requiresKey = requiresKey
        self.names = names
        self.origins = origins
        self.tls = tls
    }

    /// Reads their text. Throws for an unknown key, as for every setting that is not understood.
    package init(json: [UInt8]) throws {
        let node = try JSONNode.parse(json, file: "the settings")
        let reader = try JSONObjectReader(
            node, "the settings", keys: ["requiresKey", "names", "origins", "tls", "retires", "hasElder"],
            file: "the settings")
        requiresKey = try reader.bool("requiresKey") ?? false
        names = try reader.strings("names", max: 1_024)?.map(\.text) ?? []
        origins = try reader.strings("origins", max: 1_024)?.map(\.text) ?? []
        tls = try reader.node("tls").map(TLS.init)
        retires = try reader.bool("retires") ?? false
        hasElder = try reader.bool("hasElder") ?? false
    }

    /// Their text.
    package var json: [UInt8] {
        var members: [(String, JSONOutput)] = [
            ("requiresKey", .bool(requiresKey)), ("names", .list(names.map { .string($0) })),
            ("origins", .list(origins.map { .string($0) })),
        ]
        if let tls { members.append(("tls", tls.object)) }
        if retires { members.append(("retires", .bool(true))) }
        if hasElder { members.append(("hasElder", .bool(true))) }
        return Array(JSONOutput.object(members).text.utf8)
    }
}

extension BridgeSettings.TLS {
    init(_ node: JSONNode) throws {
        let reader = try JSONObjectReader(
            node, "tls",
            keys: ["certificateChain", "privateKey", "clientAuthorities", "clientSubjects", "acceptsTLS12"],
            file: "the settings")
        self.init(
            certificateChain: try reader.required("certificateChain"), privateKey: try reader.required("privateKey"),
            clientAuthorities: try reader.string("clientAuthorities"),
            clientSubjects: try reader.strings("clientSubjects", max: 1_024)?.map(\.text) ?? [],
            acceptsTLS12: try reader.bool("acceptsTLS12") ?? false)
    }

    var object: JSONOutput {
        var members: [(String, JSONOutput)] = [
            ("certificateChain", .string(certificateChain)), ("privateKey", .string(privateKey)),
            ("clientSubjects", .list(clientSubjects.map { .string($0) })), ("acceptsTLS12", .bool(acceptsTLS12)),
        ]
        if let clientAuthorities { members.append(("clientAuthorities", .string(clientAuthorities))) }
        return .object(members)
    }
}
