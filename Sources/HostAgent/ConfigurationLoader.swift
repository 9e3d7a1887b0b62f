package import Configuration
internal import Foundation
internal import LinuxSystem
internal import SystemPackage

/// Reads the settings: flags over environment over file.
package enum ConfigurationLoader {
    /// `flags` holds what the command line set, by key. Throws for an unknown key in the file, and for a value that is no
    /// such value, naming it and where it came from.
    package static func load(
        flags: [HostConfiguration.Key: ConfigContent], environment: [String: String], file: String?
    ) async throws(HostError) -> HostConfiguration {
        var providers: [any ConfigProvider] = [
            InMemoryProvider(
                name: "command line",
                values: Dictionary(
                    uniqueKeysWithValues: flags.map {
                        (AbsoluteConfigKey([$0.key.rawValue]), ConfigValue($0.value, isSecret: false))
                    })),
            EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "hearth"),
        ]
        if let file { providers.append(try await fileProvider(file)) }
        return try configuration(from: ConfigReader(providers: providers)).validated()
    }

    private static func fileProvider(_ path: String) async throws(HostError) -> any ConfigProvider {
        let known = Set(HostConfiguration.Key.allCases.map(\.rawValue))
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            guard let object = try JSONSerialization.jsonObject(with: data) as? [String: Any] else {
                throw HostError("\(path): write one JSON object")
            }
            if let unknown = object.keys.sorted().first(where: { !known.contains($0) }) {
                throw HostError(
                    "\(path): there is no setting '\(unknown)'; there are \(known.sorted().joined(separator: ", "))")
            }
            return try await FileProvider<JSONSnapshot>(filePath: FilePath(path))
        } catch let error as HostError {
            throw error
        } catch CocoaError.fileReadNoSuchFile, CocoaError.fileReadNoPermission {
            throw HostError("\(path): the configuration file cannot be read; check --config and its permissions")
        } catch {
            throw HostError("\(path): this is no JSON (\(error.localizedDescription))")
        }
    }

    private static func configuration(from reader: ConfigReader) throws(HostError) -> HostConfiguration {
        typealias Key = HostConfiguration.Key
        func string(_ key: Key) -> String? { reader.string(forKey: ConfigKey([key.rawValue])) }
        func bool(_ key: Key) throws(HostError) -> Bool? {
            let name = ConfigKey([key.rawValue])
            do {
                return try reader.requiredBool(forKey: name)
            } catch {
                guard let text = string(key) else { return nil }
                throw HostError("\(key.rawValue) '\(text)': write true or false")
            }
        }
        func seconds(_ key: Key) throws(HostError) -> UInt32? {
            guard let number = reader.int(forKey: ConfigKey([key.rawValue])) else {
                guard let text = string(key) else { return nil }
                throw HostError("\(key.rawValue) '\(text)': write a number of seconds")
            }
            guard let seconds = UInt32(exactly: number) else {
                throw HostError("\(key.rawValue) '\(number)': write seconds, from 0 to \(UInt32.max)")
            }
            return seconds
        }
        var result = HostConfiguration()
        if let addresses = reader.stringArray(forKey: ConfigKey([Key.listen.rawValue])) {
            result.listen = []
            for text in addresses {
                do throws(SocketAddressError) {
                    result.listen.append(try SocketAddress(text))
                } catch {
                    throw HostError("listen \(error)")
                }
            }
        }
        result.plaintext = try bool(.plaintext) ?? false
        result.tls = try bool(.tls) ?? false
        result.tlsCertificate = string(.tlsCertificate)
        result.tlsKey = string(.tlsKey)
        result.tlsClientAuthority = string(.tlsClientAuthority)
        result.tlsClientSubjects = reader.stringArray(forKey: ConfigKey([Key.tlsClientSubjects.rawValue])) ?? []
        result.tlsMinimum = string(.tlsMinimum) ?? result.tlsMinimum
        result.requireToken = try bool(.requireToken) ?? false
        result.backends = string(.backends)
        result.state = string(.state)
        result.policies = string(.policies)
        result.tier = string(.tier) ?? result.tier
        result.user = string(.user)
        result.readable = reader.stringArray(forKey: ConfigKey([Key.readable.rawValue])) ?? []
        result.devices = reader.stringArray(forKey: ConfigKey([Key.devices.rawValue])) ?? []
        result.connectionTimes = ConnectionTimes(
            keepalive: try seconds(.keepaliveTime), keepaliveTimeout: try seconds(.keepaliveTimeout),
            minPingInterval: try seconds(.minPingInterval), maxIdle: try seconds(.maxConnectionIdle),
            maxAge: try seconds(.maxConnectionAge), maxAgeGrace: try seconds(.maxConnectionAgeGrace))
        return result
    }
}
