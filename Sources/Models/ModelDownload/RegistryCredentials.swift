internal import BaseEncodings
package import StrictJSON

/// What a person has logged in with at a registry.
package enum RegistryCredentials: Equatable, Sendable {
    case password(user: String, String)
    /// A token that the registry's own service exchanges for others (OAuth 2.0's refresh token).
    case identityToken(String)
}

/// A file in which Docker's, Podman's and Skopeo's `login` keep credentials (docker's config.json, containers-auth.json(5)).
package struct CredentialsFile: Equatable, Sendable {
    /// What the file says of a registry.
    package enum Finding: Equatable, Sendable {
        case credentials(RegistryCredentials)
        /// The program docker-credential-NAME has them, under this name of the registry.
        case helper(String, server: String)
        case nothing
    }

    private var entries: [String: RegistryCredentials] = [:]
    private var helpers: [String: String] = [:]
    private var store: String?

    /// The paths of the files, in the order in which they are asked.
    package static func paths(_ environment: [String: String]) -> [String] {
        func folder(_ variable: String) -> String? { environment[variable].flatMap { $0.hasPrefix("/") ? $0 : nil } }
        var paths: [String] = []
        if let said = environment["REGISTRY_AUTH_FILE"], !said.isEmpty { paths.append(said) }
        if let runtime = folder("XDG_RUNTIME_DIR") { paths.append("\(runtime)/containers/auth.json") }
        if let home = folder("HOME") {
            paths.append("\(folder("XDG_CONFIG_HOME") ?? "\(home)/.config")/containers/auth.json")
        }
        if let said = environment["DOCKER_CONFIG"], !said.isEmpty {
            paths.append("\(said)/config.json")
        } else if let home = folder("HOME") {
            paths.append("\(home)/.docker/config.json")
        }
        return paths
    }

    /// Reads a file; keys that concern other matters are passed over.
    package init(_ json: [UInt8], file: String) throws(JSONError) {
        let node = try JSONNode.parse(json, file: file)
        guard case .object(let members) = node.value else { throw JSONError(file: file, "must be an object") }
        for member in members {
            switch (member.key, member.node.value) {
            case ("auths", .object(let servers)):
                for server in servers {
                    if let entry = try Self.entry(server.node, file: file) { entries[server.key] = entry }
                }
            case ("credHelpers", .object(let servers)):
                for server in servers {
                    if case .string(let name) = server.node.value { helpers[server.key] = name }
                }
            case ("credsStore", .string(let name)) where !name.isEmpty: store = name
            default: break
            }
        }
    }

    private static func entry(_ node: JSONNode, file: String) throws(JSONError) -> RegistryCredentials? {
        guard case .object(let members) = node.value else { return nil }
        var texts: [String: String] = [:]
        for member in members {
            if case .string(let text) = member.node.value { texts[member.key] = text }
        }
        if let token = texts["identitytoken"], !token.isEmpty { return .identityToken(token) }
        // Empty where a store has them.
        guard let encoded = texts["auth"], !encoded.isEmpty else {
            guard let user = texts["username"], let password = texts["password"], !user.isEmpty else { return nil }
            return .password(user: user, password)
        }
        guard let bytes = Base64.decode(encoded), let text = String(validating: bytes, as: UTF8.self),
            let colon = text.firstIndex(of: ":")
        else {
            throw JSONError(file: file, line: node.line, "'auth' is no USER:PASSWORD in base64; log in again")
        }
        // Docker once ended passwords with a zero byte.
        let password = String(text[text.index(after: colon)...].reversed().drop { $0 == "\0" }.reversed())
        return .password(user: String(text[..<colon]), password)
    }

    /// What it says of a registry: of the repository, of the folders above it, and of the registry as a whole, the nearest
    /// first.
    package func finding(host: String, repository: String) -> Finding {
        let names = Self.names(host: host, repository: repository)
        for name in names {
            if let helper = helpers[name] { return .helper(helper, server: name) }
        }
        for name in names {
            if let entry = entries[name] { return .credentials(entry) }
        }
        if let store { return .helper(store, server: Self.server(of: host)) }
        return .nothing
    }

    /// The names under which a registry's credentials are kept, the nearest first.
    private static func names(host: String, repository: String) -> [String] {
        var names: [String] = []
        var path = "\(host)/\(repository)"[...]
        while let slash = path.lastIndex(of: "/") {
            names.append(String(path))
            path = path[..<slash]
        }
        names.append(host)
        if host == "docker.io" { names += ["https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"] }
        return names + ["https://\(host)", "https://\(host)/", "https://\(host)/v1/", "https://\(host)/v2/"]
    }

    private static func server(of host: String) -> String {
        host == "docker.io" ? "https://index.docker.io/v1/" : host
    }

    /// What a helper has answered; nil: it has none.
    package static func answer(_ json: [UInt8], helper: String) throws(JSONError) -> RegistryCredentials? {
        let place = "the answer of docker-credential-\(helper)"
        let node = try JSONNode.parse(json, file: place)
        guard case .object(let members) = node.value else { throw JSONError(file: place, "is no object") }
        var texts: [String: String] = [:]
        for member in members {
            if case .string(let text) = member.node.value { texts[member.key] = text }
        }
        guard let user = texts["Username"], let secret = texts["Secret"] else {
            throw JSONError(file: place, "lacks Username or Secret")
        }
        if secret.isEmpty { return nil }
        return user == "<token>" ? .identityToken(secret) : .password(user: user, secret)
    }
}
