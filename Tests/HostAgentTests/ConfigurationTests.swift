import Configuration
import Foundation
import HostAgent
import LinuxSystem
import Testing

struct ConfigurationTests {
    private func load(
        flags: [HostConfiguration.Key: ConfigContent] = [:], environment: [String: String] = [:], file: String? = nil
    ) async throws(HostError) -> HostConfiguration {
        guard let file else {
            return try await ConfigurationLoader.load(flags: flags, environment: environment, file: nil)
        }
        let path = NSTemporaryDirectory() + "hearth-\(UUID().uuidString).json"
        _ = FileManager.default.createFile(atPath: path, contents: Data(file.utf8))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await ConfigurationLoader.load(flags: flags, environment: environment, file: path)
    }

    private func refusal(
        flags: [HostConfiguration.Key: ConfigContent] = [:], environment: [String: String] = [:], file: String? = nil
    ) async -> String? {
        do throws(HostError) {
            _ = try await load(flags: flags, environment: environment, file: file)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func `without any setting it listens on loopback, in the full tier`() async throws {
        #expect(try await load() == HostConfiguration())
        #expect(try await load().listen.allSatisfy(\.isLocal))
        #expect(try await load().tier == "full")
    }

    @Test func `a flag wins over the environment, and the environment over the file`() async throws {
        let file =
            #"{"state": "/file", "backends": "/file", "tier": "reduced", "tls-key": "k", "tls-certificate": "c"}"#
        let environment = ["HEARTH_STATE": "/environment", "HEARTH_BACKENDS": "/environment", "STATE": "/nobody"]
        let settings = try await load(flags: [.state: .string("/flag")], environment: environment, file: file)
        #expect(settings.state == "/flag")
        #expect(settings.backends == "/environment")
        #expect(settings.tier == "reduced")
        #expect(settings.tlsKey == "k")
    }

    @Test func `several addresses come from each source`() async throws {
        let expected: [SocketAddress] = [.internet(host: "::1", port: 1), .unix(path: "/x")]
        #expect(try await load(flags: [.listen: .stringArray(["[::1]:1", "unix:/x"])]).listen == expected)
        #expect(try await load(environment: ["HEARTH_LISTEN": "[::1]:1,unix:/x"]).listen == expected)
        #expect(try await load(file: #"{"listen": ["[::1]:1", "unix:/x"]}"#).listen == expected)
    }

    @Test func `plaintext is refused where other machines can reach it, with the remedy`() async {
        let refusal = await refusal(flags: [.plaintext: .bool(true), .listen: .stringArray(["0.0.0.0:1"])])
        #expect(refusal?.contains("0.0.0.0:1") == true)
        #expect(refusal?.contains("TLS") == true)
    }

    @Test func `TLS is on for every address that other machines can reach`() async throws {
        let settings = try await load(flags: [.listen: .stringArray(["0.0.0.0:1", "127.0.0.1:1"])])
        #expect(settings.listen.map(settings.usesTLS) == [true, false])
    }

    @Test func `a token is asked for on every address that other machines can reach, and on others on request`()
        async throws
    {
        let listen = ConfigContent.stringArray(["0.0.0.0:1", "127.0.0.1:1", "unix:/x"])
        let settings = try await load(flags: [.listen: listen])
        #expect(settings.listen.map(settings.requiresToken) == [true, false, false])
        let strict = try await load(flags: [.listen: listen], environment: ["HEARTH_REQUIRE_TOKEN": "true"])
        #expect(strict.listen.map(strict.requiresToken) == [true, true, true])
    }

    @Test func `a client's certificate takes the token's place, unless both are asked for`() async throws {
        let file =
            #"{"listen": ["0.0.0.0:1", "127.0.0.1:1"], "tls-client-authority": "ca", "tls-client-subject": ["a"]}"#
        let settings = try await load(file: file)
        #expect(settings.tlsClientSubjects == ["a"])
        #expect(settings.listen.map(settings.usesTLS) == [true, true])
        #expect(settings.listen.map(settings.requiresToken) == [false, false])
        let both = try await load(flags: [.requireToken: .bool(true)], file: file)
        #expect(both.listen.map(both.requiresToken) == [true, true])
    }

    @Test func `how long connections live can be said in flags, in the environment and in the file`() async throws {
        let settings = try await load(
            flags: [.keepaliveTime: .int(30)],
            environment: ["HEARTH_MAX_CONNECTION_AGE": "60", "HEARTH_KEEPALIVE_TIME": "1"],
            file: #"{"max-connection-age": 5, "max-connection-age-grace": 7, "min-ping-interval": 3}"#)
        #expect(
            settings.connectionTimes == ConnectionTimes(keepalive: 30, minPingInterval: 3, maxAge: 60, maxAgeGrace: 7))
    }

    @Test func `a setting that does not exist is named, with those that do`() async {
        let refusal = await refusal(file: #"{"lissten": []}"#)
        #expect(refusal?.contains("'lissten'") == true)
        #expect(refusal?.contains("max-connection-idle, min-ping-interval, plaintext") == true)
    }

    @Test(arguments: [
        (#"{"#, "no JSON"), (#"[]"#, "one JSON object"), (#"{"tier": "none"}"#, "full"),
        (#"{"listen": ["x"]}"#, "HOST:PORT"),
        (#"{"tls-minimum": "1.1"}"#, "1.2"), (#"{"tls-client-subject": ["a"]}"#, "tls-client-authority"),
        (#"{"plaintext": true, "tls-client-authority": "ca"}"#, "contradict"),
        (#"{"require-token": "x"}"#, "true or false"), (#"{"keepalive-time": "soon"}"#, "seconds"),
        (#"{"max-connection-age": -1}"#, "from 0"),
        (#"{"keepalive-timeout": 0}"#, "at least 1"), (#"{"min-ping-interval": 0}"#, "at least 1"),
        (#"{"tls-key": "k"}"#, "tls-certificate"), (#"{"plaintext": "maybe"}"#, "true or false"),
    ])
    func `a wrong value is refused with what would be right`(file: String, remedy: String) async {
        let refusal = await refusal(file: file)
        #expect(refusal?.contains(remedy) == true, "\(refusal ?? "accepted")")
    }

    @Test func `a configuration file that is missing is named`() async {
        do throws(HostError) {
            _ = try await ConfigurationLoader.load(flags: [:], environment: [:], file: "/nonexistent/hearth.json")
            Issue.record("a missing file was accepted")
        } catch {
            #expect(error.description.contains("/nonexistent/hearth.json"))
        }
    }
}
