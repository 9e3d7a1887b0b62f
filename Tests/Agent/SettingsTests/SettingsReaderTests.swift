import Foundation
import LinuxSystem
import Settings
import TestPlaces
import Testing

struct SettingsReaderTests {
    private func load(
        flags: [HostConfiguration.Key: [String]] = [:], environment: [String: String] = [:], file: String? = nil
    ) throws(HostError) -> HostConfiguration {
        guard let file else {
            return try SettingsReader.read(flags: flags, environment: environment, file: nil)
        }
        let folder = TemporaryFolder()
        defer { folder.remove() }
        let path = folder.write("settings.json", file)
        return try SettingsReader.read(flags: flags, environment: environment, file: path)
    }

    private func refusal(
        flags: [HostConfiguration.Key: [String]] = [:], environment: [String: String] = [:], file: String? = nil
    ) -> String? {
        do throws(HostError) {
            _ = try load(flags: flags, environment: environment, file: file)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func `without any setting it listens on loopback, in the full tier`() throws {
        #expect(try load() == HostConfiguration())
        #expect(try load().listen.allSatisfy(\.isLocal))
        #expect(try load().tier == "full")
    }

    @Test func `a flag wins over the environment, and the environment over the file`() throws {
        let file =
            #"{"state": "/file", "backends": "/file", "tier": "reduced", "tls-key": "k", "tls-certificate": "c"}"#
        let environment = ["HEARTH_STATE": "/environment", "HEARTH_BACKENDS": "/environment", "STATE": "/nobody"]
        let settings = try load(flags: [.state: ["/flag"]], environment: environment, file: file)
        #expect(settings.state == "/flag")
        #expect(settings.backends == "/environment")
        #expect(settings.tier == "reduced")
        #expect(settings.tlsKey == "k")
    }

    @Test func `a setting's name of earlier versions is read, and answered with the new one`() throws {
        let file = try load(file: #"{"require-token": true}"#)
        #expect(file.requireKey)
        #expect(file.olderNames.count == 1)
        #expect(file.olderNames[0].hasSuffix(":1: 'require-token' is called 'require-key' now"))
        let environment = try load(environment: ["HEARTH_REQUIRE_TOKEN": "true"])
        #expect(environment.requireKey)
        #expect(
            environment.olderNames == ["the environment: 'HEARTH_REQUIRE_TOKEN' is called 'HEARTH_REQUIRE_KEY' now"])
        #expect(try load(file: #"{"require-key": true}"#).olderNames == [])
        let both = refusal(file: #"{"require-token": false, "require-key": true}"#)
        #expect(both?.contains("'require-key' is given twice") == true)
        let twice = refusal(environment: ["HEARTH_REQUIRE_TOKEN": "true", "HEARTH_REQUIRE_KEY": "false"])
        #expect(twice?.contains("HEARTH_REQUIRE_KEY and HEARTH_REQUIRE_TOKEN are one setting") == true)
    }

    @Test func `several addresses come from each source`() throws {
        let expected: [SocketAddress] = [.internet(host: "::1", port: 1), .unix(path: "/x")]
        #expect(try load(flags: [.listen: ["[::1]:1", "unix:/x"]]).listen == expected)
        #expect(try load(environment: ["HEARTH_LISTEN": "[::1]:1,unix:/x"]).listen == expected)
        #expect(try load(file: #"{"listen": ["[::1]:1", "unix:/x"]}"#).listen == expected)
    }

    @Test func `plaintext is refused where other machines can reach it, with the remedy`() {
        let refusal = refusal(flags: [.plaintext: ["true"], .listen: ["0.0.0.0:1"]])
        #expect(refusal?.contains("0.0.0.0:1") == true)
        #expect(refusal?.contains("TLS") == true)
    }

    @Test func `TLS is on for every address that other machines can reach`() throws {
        let settings = try load(flags: [.listen: ["0.0.0.0:1", "127.0.0.1:1"]])
        #expect(settings.listen.map(settings.usesTLS) == [true, false])
    }

    @Test func `a key is asked for on every address that other machines can reach, and on others on request`() throws {
        let listen = ["0.0.0.0:1", "127.0.0.1:1", "unix:/x"]
        let settings = try load(flags: [.listen: listen])
        #expect(settings.listen.map(settings.requiresKey) == [true, false, false])
        let strict = try load(flags: [.listen: listen], environment: ["HEARTH_REQUIRE_KEY": "true"])
        #expect(strict.listen.map(strict.requiresKey) == [true, true, true])
    }

    @Test func `a client's certificate takes the key's place, unless both are asked for`() throws {
        let file =
            #"{"listen": ["0.0.0.0:1", "127.0.0.1:1"], "tls-client-authority": "ca", "tls-client-subject": ["a"]}"#
        let settings = try load(file: file)
        #expect(settings.tlsClientSubjects == ["a"])
        #expect(settings.listen.map(settings.usesTLS) == [true, true])
        #expect(settings.listen.map(settings.requiresKey) == [false, false])
        let both = try load(flags: [.requireKey: ["true"]], file: file)
        #expect(both.listen.map(both.requiresKey) == [true, true])
    }

    @Test func `how long connections live can be said in flags, in the environment and in the file`() throws {
        let settings = try load(
            flags: [.keepaliveTime: ["30"]],
            environment: ["HEARTH_MAX_CONNECTION_AGE": "60", "HEARTH_KEEPALIVE_TIME": "1"],
            file: #"{"max-connection-age": 5, "max-connection-age-grace": 7, "min-ping-interval": 3}"#)
        #expect(
            settings.connectionTimes == ConnectionTimes(keepalive: 30, minPingInterval: 3, maxAge: 60, maxAgeGrace: 7))
    }

    @Test(arguments: [("8G", 8 << 30), ("512m", 512 << 20), ("3GiB", 3 << 30), ("2TB", 2 << 40)] as [(String, UInt64)])
    func `a size is a number and its unit`(text: String, bytes: UInt64) throws {
        #expect(try load(file: #"{"memory": "\#(text)"}"#).memory == bytes)
        #expect(try load(flags: [.memory: [text]]).memory == bytes)
    }

    @Test func `a setting that does not exist is named, with those that do`() {
        let refusal = refusal(file: #"{"lissten": []}"#)
        #expect(refusal?.contains("'lissten'") == true)
        #expect(
            refusal?.contains("max-connection-idle, memory, min-ping-interval, models, otlp-ca, otlp-endpoint") == true
        )
    }

    @Test(arguments: [
        (#"{"#, ":1: expected a key"), (#"[]"#, "one JSON object"), (#"{"tier": "none"}"#, "full"),
        (#"{"listen": ["x"]}"#, "HOST:PORT"),
        (#"{"tls-minimum": "1.1"}"#, "1.2"), (#"{"tls-client-subject": ["a"]}"#, "tls-client-authority"),
        (#"{"plaintext": true, "tls-client-authority": "ca"}"#, "contradict"),
        (#"{"plaintext": true, "http": "0.0.0.0:80"}"#, "plaintext is refused on http 0.0.0.0:80"),
        (#"{"require-key": "x"}"#, "true or false"), (#"{"keepalive-time": "soon"}"#, "seconds"),
        (#"{"max-connection-age": -1}"#, "from 0"),
        (#"{"keepalive-timeout": 0}"#, "at least 1"), (#"{"min-ping-interval": 0}"#, "at least 1"),
        (#"{"tls-key": "k"}"#, "tls-certificate"), (#"{"plaintext": "maybe"}"#, "true or false"),
    ])
    func `a wrong value is refused with what would be right`(file: String, remedy: String) {
        let refusal = refusal(file: file)
        #expect(refusal?.contains(remedy) == true, "\(refusal ?? "accepted")")
    }

    @Test(
        "a value of another type is refused with the line, the setting, what was expected and what was found",
        arguments: [
            (
                #""tls-client-subject": "alice""#,
                #"'tls-client-subject' must be a list of names, such as ["alice"], not the string "alice""#
            ),
            (
                #""listen": "127.0.0.1:50099""#,
                #"must be a list of addresses, such as ["127.0.0.1:50051"], not the string "127.0.0.1:50099""#
            ),
            (#""tier": 5"#, #"'tier' must be "full" or "reduced", not the number 5"#),
            (#""require-key": null"#, "'require-key' must be true or false, not null"),
            (#""require-key": "true""#, #"must be true or false, not the string "true""#),
            (#""plaintext": 1"#, "must be true or false, not the number 1"), (#""tls": []"#, "not an empty list"),
            (#""keepalive-time": "30""#, #"must be seconds, a whole number from 0 to 4294967295, not the string "30""#),
            (#""memory": 8"#, #"must be a size with its unit, such as "8G" or "512M", not the number 8"#),
            (#""memory": "8""#, "must be a size with its unit"),
            (#""memory": "0G""#, "must be a size with its unit"),
            (#""memory": "99999999999T""#, "must be a size with its unit"),
            (#""keepalive-time": 1.5"#, "must be seconds, a whole number from 0 to 4294967295, not '1.5'"),
            (#""keepalive-time": 3e1"#, "not '3e1'"), (#""max-connection-age": -1"#, "not '-1'"),
            (#""max-connection-age": -0"#, "not '-0'"), (#""max-connection-age": 4294967296"#, "not '4294967296'"),
            (#""max-connection-age": true"#, "not true"), (#""state": ["/x"]"#, "in quotes, such as"),
            (#""state": {"path": "/x"}"#, "not an object"), (#""state": """#, "is empty"),
            (#""state": "/x\u0000y""#, "control character"), (#""user": false"#, "the name of a user in quotes"),
            (#""listen": []"#, "is an empty list"), (#""tls-client-subject": []"#, "is an empty list"),
            (#""listen": ["127.0.0.1:1", ""]"#, "has an empty entry"),
            (#""listen": [50051]"#, "in the list is the number"),
            (#""readable": [["/x"]]"#, "in the list is a list"), (#""devices": "/dev/x""#, "a list of devices"),
        ])
    func wrongTypes(member: String, says: String) {
        let refusal = refusal(file: "{\n\(member)\n}")
        #expect(refusal?.contains(".json:2: '") == true, "\(refusal ?? "accepted")")
        #expect(refusal?.contains(says) == true, "\(refusal ?? "accepted")")
    }

    @Test func `each setting refuses every type of JSON but its own`() {
        let values = ["null", "true", "5", #""x""#, #"["x"]"#, #"{"x": 1}"#]
        for key in HostConfiguration.Key.allCases {
            let refusals = values.compactMap { refusal(file: "{\"\(key.rawValue)\": \($0)}") }
            #expect(refusals.filter { $0.contains("'\(key.rawValue)' must be") }.count >= 5, "\(key): \(refusals)")
        }
    }

    @Test(
        "a file that is no strict JSON is refused with its line",
        arguments: [
            ("{\"tier\": \"full\",\n\"tier\": \"reduced\"}", ":2: key 'tier' stands twice"),
            ("{\n\"tier\": \"full\",\n}", ":3: a comma stands before '}'"), ("{\n// no\n}", ":2: JSON has no comments"),
            ("\u{FEFF}{}", "byte order mark"), ("", "the file is empty"), ("{\"max-connection-age\": NaN}", "'NaN'"),
            (String(repeating: " ", count: 1 << 20) + "{}", "too large"),
        ])
    func strictness(file: String, says: String) {
        let refusal = refusal(file: file)
        #expect(refusal?.contains(says) == true, "\(refusal ?? "accepted")")
    }

    @Test(
        "a wrong value in the environment is refused with the variable's name",
        arguments: [
            ("HEARTH_TIER", "", "HEARTH_TIER is empty"), ("HEARTH_LISTEN", "", "HEARTH_LISTEN is empty"),
            ("HEARTH_LISTEN", "127.0.0.1:1,,127.0.0.1:2", "HEARTH_LISTEN has an empty entry"),
            ("HEARTH_TLS_CLIENT_SUBJECT", "alice,", "HEARTH_TLS_CLIENT_SUBJECT has an empty entry"),
            ("HEARTH_TIER", "Full", "HEARTH_TIER must be full or reduced, not 'Full'"),
            ("HEARTH_REQUIRE_KEY", "on", "HEARTH_REQUIRE_KEY must be true or false, not 'on'"),
            ("HEARTH_KEEPALIVE_TIME", "+5", "HEARTH_KEEPALIVE_TIME must be seconds"),
            ("HEARTH_LISTEN", "nowhere", "HEARTH_LISTEN 'nowhere'"),
        ])
    func wrongVariables(variable: String, text: String, says: String) {
        let refusal = refusal(environment: [variable: text])
        #expect(refusal?.contains(says) == true, "\(refusal ?? "accepted")")
    }

    @Test(
        "a variable that was meant to be a setting is refused with what would be right",
        arguments: [
            ("HEARTH_LISSTEN", "did you mean 'HEARTH_LISTEN'?"), ("HEARTH_TEIR", "did you mean 'HEARTH_TIER'?"),
            ("HEARTH_REQUIRE_KEYS", "did you mean 'HEARTH_REQUIRE_KEY'?"), ("HEARTH_REQUIRE_AUTH", "REQUIRE_KEY"),
            ("HEARTH_CONFIG", "--config"), ("HEARTH_TAKE_OVER", "--take-over"),
            ("HEARTH_TLS_CLIENT", "TLS_CLIENT_SUBJECT"),
            ("HEARTH_KEY_FILE", "no setting"),
        ])
    func nearVariables(variable: String, says: String) {
        let refusal = refusal(environment: [variable: "x"])
        #expect(refusal?.contains(says) == true, "\(refusal ?? "accepted")")
    }

    @Test func `variables of other parts, and of the machine that runs containers, are no settings`() throws {
        let environment = [
            "HEARTH_KEY": "x", "HEARTH_LLAMA_PREFIX": "/x", "HEARTH_KEYS": "1", "HEARTH_ATTACK_SECONDS": "1",
            "HEARTH_SANITIZER": "thread", "HEARTH_PORT": "tcp://10.0.0.1:50051",
            "HEARTH_SERVICE_HOST": "10.0.0.1", "HEARTH_SERVICE_PORT": "50051", "HEARTH_SERVICE_PORT_GRPC": "50051",
            "HEARTH_PORT_50051_TCP": "tcp://10.0.0.1:50051", "HEARTH_PORT_50051_TCP_ADDR": "10.0.0.1",
            "HEARTHSTONE": "",
        ]
        #expect(try load(environment: environment) == HostConfiguration())
        #expect(SettingsEnvironment.unknown(in: environment).isEmpty)
        #expect(
            SettingsEnvironment.unknown(in: ["HEARTH_COLOUR": "", "HEARTH_PORT": "1"]) == [
                "HEARTH_COLOUR", "HEARTH_PORT",
            ])
    }

    @Test(arguments: [("YES", true), ("1", true), ("False", false), ("no", false), ("0", false)])
    func `a variable may say yes and no as it always could`(text: String, value: Bool) throws {
        #expect(try load(environment: ["HEARTH_TLS": text]).tls == value)
    }

    @Test func `a setting that is wrong is refused even where another source wins`() {
        #expect(refusal(flags: [.tier: ["full"]], file: #"{"tier": 5}"#)?.contains("'tier'") == true)
        #expect(refusal(flags: [.tier: ["full"]], environment: ["HEARTH_TIER": "x"])?.contains("HEARTH_TIER") == true)
    }

    @Test(
        "a wrong flag is refused as it is written on the command line",
        arguments: [
            (HostConfiguration.Key.devices, "", "--device has an empty entry"),
            (.keepaliveTime, "soon", "--keepalive-time must be seconds"), (.state, "", "--state is empty"),
            (.tier, "none", "--tier must be full or reduced, not 'none'"),
        ])
    func wrongFlags(key: HostConfiguration.Key, text: String, says: String) {
        let refusal = refusal(flags: [key: [text]])
        #expect(refusal?.contains(says) == true, "\(refusal ?? "accepted")")
    }

    @Test func `a list of none is none where nothing is opened by it`() throws {
        #expect(try load(file: #"{"readable": [], "devices": []}"#) == HostConfiguration())
    }

    @Test func `a configuration file that is missing is named`() {
        do throws(HostError) {
            _ = try SettingsReader.read(flags: [:], environment: [:], file: "/nonexistent/hearth.json")
            Issue.record("a missing file was accepted")
        } catch {
            #expect(error.description.contains("/nonexistent/hearth.json"))
        }
    }

    @Test(
        "a collector is reached in the clear on this machine, and with TLS elsewhere",
        arguments: [
            ("http://127.0.0.1:4317", "127.0.0.1:4317", false), ("http://localhost", "localhost:4317", false),
            ("http://[::1]:4318/", "[::1]:4318", false), ("https://collector.example", "collector.example:4317", true),
            ("https://10.0.0.7:443", "10.0.0.7:443", true), ("https://[2001:db8::1]", "[2001:db8::1]:4317", true),
        ])
    func collector(_ text: String, _ address: String, _ usesTLS: Bool) throws {
        let collector = try load(flags: [.otlpEndpoint: [text]]).collector()
        #expect(collector?.address.description == address)
        #expect(collector?.usesTLS == usesTLS)
    }

    @Test(
        "an address of a collector that cannot be used, or is not protected, is refused in words",
        arguments: [
            ("127.0.0.1:4317", "write http://127.0.0.1:4317"), ("unix:/run/x", "write http://127.0.0.1:4317"),
            ("http://collector.example:4317", "spans would cross the network unprotected"),
            ("http://10.0.0.7", "spans would cross the network unprotected"),
            ("https://me:word@collector.example", "otlp-headers-file"),
            ("https://collector.example/v1/traces", "has no path"), ("https://", "only a host and a port"),
            ("https://collector.example:0", "write http"), ("https://collector.example:x", "otlp-endpoint"),
        ])
    func refusedCollector(_ text: String, _ words: String) {
        let refusal = refusal(flags: [.otlpEndpoint: [text]])
        #expect(refusal?.contains(words) == true, "\(refusal ?? "")")
        #expect(refusal?.contains("word@") != true)
    }

    @Test func `what belongs to a collector is refused without one, and a certificate's authority without TLS`() {
        for key in [HostConfiguration.Key.otlpAuthorities, .otlpHeaders] {
            #expect(refusal(flags: [key: ["/x"]])?.contains("need otlp-endpoint") == true)
        }
        #expect(refusal(flags: [.traceRatio: ["0.5"]])?.contains("need otlp-endpoint") == true)
        let plain: [HostConfiguration.Key: [String]] = [
            .otlpEndpoint: ["http://127.0.0.1:4317"], .otlpAuthorities: ["/x"],
        ]
        #expect(refusal(flags: plain)?.contains("https://") == true)
    }

    @Test func `a part of the turns is a number from 0 to 1, from every source`() throws {
        let endpoint: [HostConfiguration.Key: [String]] = [.otlpEndpoint: ["http://127.0.0.1:4317"]]
        #expect(try load(flags: endpoint, file: #"{"trace-ratio": 0.25}"#).traceRatio == 0.25)
        #expect(try load(flags: endpoint, environment: ["HEARTH_TRACE_RATIO": "1"]).traceRatio == 1)
        for text in ["-0.1", "1.1", "nan", "half", "0,5", " 1"] {
            let refusal = refusal(flags: endpoint.merging([.traceRatio: [text]]) { $1 })
            #expect(refusal?.contains("must be a number from 0 to 1") == true, "\(text): \(refusal ?? "")")
        }
    }

    @Test func `what dies is kept for ten minutes at most, and not at all unless it is asked for`() throws {
        #expect(try load().surviveCrash == nil)
        #expect(try load(file: #"{"survive-crash": 600}"#).surviveCrash == 600)
        #expect(try load(environment: ["HEARTH_SURVIVE_CRASH": "0"]).surviveCrash == 0)
        #expect(refusal(flags: [.surviveCrash: ["601"]])?.contains("at most 600") == true)
        #expect(refusal(flags: [.surviveCrash: ["-1"]]) != nil)
    }
}
