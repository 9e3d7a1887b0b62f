/// One setting, which flags, the environment and the file share. The accepted values, the text of a refusal and the
/// help of `hearth serve --help` all come from this description.
package struct Setting: Sendable {
    typealias Place<Value> = WritableKeyPath<HostConfiguration, Value> & Sendable

    /// The type of the value, and the field that it is stored in.
    enum Kind: Sendable {
        case toggle(any Place<Bool>)
        case choice([String], any Place<String>)
        case seconds(any Place<UInt32?>)
        /// From 0 to 1.
        case fraction(any Place<Double?>)
        /// Bytes, at least a mebibyte.
        case size(any Place<UInt64?>)
        /// `noun` names what the text stands for, `example` shows one.
        case text(noun: String, example: String, any Place<String?>)
        case texts(noun: String, example: String, any Place<[String]>)
        case addresses
    }

    let key: HostConfiguration.Key
    let kind: Kind
    /// The help text, a sentence.
    package let meaning: String

    init(_ key: HostConfiguration.Key, _ kind: Kind, _ meaning: String) {
        self.key = key
        self.kind = kind
        self.meaning = meaning
    }

    var takesSeveral: Bool {
        switch kind {
        case .texts, .addresses: true
        case .toggle, .choice, .seconds, .fraction, .size, .text: false
        }
    }
}

extension HostConfiguration.Key {
    /// The name in the environment.
    var variable: String { SettingsEnvironment.prefix + rawValue.uppercased().replacing("-", with: "_") }

    /// The flag on the command line; where each flag names one of several, it is in the singular.
    var flag: String { self == .devices ? "--device" : "--\(rawValue)" }

    package var setting: Setting {
        switch self {
        case .listen:
            Setting(self, .addresses, "An address to accept consumers on; may be repeated. Port 0 is any free port.")
        case .plaintext: Setting(self, .toggle(\.plaintext), "Refuse every address that would need TLS.")
        case .tls: Setting(self, .toggle(\.tls), "Serve TLS on loopback and Unix sockets too, also over HTTP.")
        case .tlsCertificate:
            Setting(self, .file(\.tlsCertificate, "/etc/hearth/host.pem"), "The certificate chain, PEM.")
        case .tlsKey: Setting(self, .file(\.tlsKey, "/etc/hearth/host.key"), "Its private key, PEM.")
        case .tlsClientAuthority:
            Setting(
                self, .file(\.tlsClientAuthority, "/etc/hearth/clients.pem"),
                "Ask every client for a certificate that an authority in this PEM file signed.")
        case .tlsClientSubjects:
            Setting(
                self, .texts(noun: "names", example: "alice", \.tlsClientSubjects),
                "Let only certificates with this common name, or DNS or URI alternative name, call; may be repeated.")
        case .tlsMinimum:
            Setting(self, .choice(["1.3", "1.2"], \.tlsMinimum), "The oldest TLS to accept: 1.3, or 1.2.")
        case .requireKey:
            Setting(
                self, .toggle(\.requireKey),
                "Require a key on loopback and Unix sockets too; other addresses always require one.")
        case .backends: Setting(self, .folder(\.backends, "/srv/backends"), "The folder of backend executables.")
        case .models:
            Setting(
                self, .texts(noun: "paths", example: "/srv/models", \.models),
                "A folder of models; may be repeated (~/.local/share/hearth/models, or /var/lib/hearth/models for a service)."
            )
        case .keepAlive:
            Setting(
                self, .seconds(\.keepAlive),
                "How long a model stays in memory after its last request (300).")
        case .memory:
            Setting(
                self, .size(\.memory),
                "The memory that all models together may take, such as 8G (half of the machine's).")
        case .state:
            Setting(
                self, .folder(\.state, "/var/lib/hearth/state"),
                "The folder of the agent's own files: keys, certificate, digests.")
        case .policies:
            Setting(self, .folder(\.policies, "/usr/local/share/hearth/policies"), "The folder of seccomp policies.")
        case .tier:
            Setting(
                self, .choice(["full", "reduced"], \.tier),
                "The sandbox to require: full, or reduced on machines without user namespaces.")
        case .surviveCrash:
            Setting(
                self, .seconds(\.surviveCrash),
                "Keep backends and turns that can be resumed for this long if the agent dies, at most 600; 0: not at all (0)."
            )
        case .user:
            Setting(
                self, .text(noun: "the name of a user", example: "hearth", \.user),
                "The user to become when started as root.")
        case .readable:
            Setting(
                self, .texts(noun: "paths", example: "/srv/models", \.readable),
                "A path that manifests of backends may ask to read, with everything below it; may be repeated.")
        case .devices:
            Setting(
                self, .texts(noun: "devices", example: "/dev/nvidia0", \.devices),
                "A device that manifests may ask to use; may be repeated.")
        case .pinBackends:
            Setting(
                self, .choice(["first-sight", "off"], \.pinBackends),
                "first-sight: a backend whose files have changed waits until 'hearth backends trust NAME'; off: it runs."
            )
        case .http:
            Setting(
                self, .text(noun: "an address", example: "127.0.0.1:8080", \.http),
                "An address to serve HTTP on, for programs that speak OpenAI's, Ollama's or Anthropic's protocol; with TLS and "
                    + "keys where other machines can reach it; off: none.")
        case .httpNames:
            Setting(
                self, .texts(noun: "names", example: "hearth.example.org", \.httpNames),
                "A name by which HTTP requests may call this host, besides its addresses; may be repeated.")
        case .httpOrigins:
            Setting(
                self, .texts(noun: "origins", example: "https://example.org", \.httpOrigins),
                "A site whose pages may send HTTP requests from a browser; may be repeated.")
        case .keepaliveTime:
            Setting(
                self, .seconds(\.connectionTimes.keepalive),
                "Ping a consumer that has been silent for this long; 0: never (7200).")
        case .keepaliveTimeout:
            Setting(
                self, .seconds(\.connectionTimes.keepaliveTimeout),
                "Close its connection if it does not answer within this time (20).")
        case .minPingInterval:
            Setting(
                self, .seconds(\.connectionTimes.minPingInterval),
                "End the connection of a consumer that pings more often, with too_many_pings (10).")
        case .maxConnectionIdle:
            Setting(
                self, .seconds(\.connectionTimes.maxIdle),
                "Close a connection that has had no call for this long; 0: never (1800).")
        case .maxConnectionAge:
            Setting(
                self, .seconds(\.connectionTimes.maxAge),
                "Take no new calls on a connection of this age, so that load balancers spread load anew; 0: never (0)."
            )
        case .maxConnectionAgeGrace:
            Setting(
                self, .seconds(\.connectionTimes.maxAgeGrace),
                "How long calls may go on after --max-connection-age; 0: to their end (0).")
        case .otlpEndpoint:
            Setting(
                self, .text(noun: "an address", example: "http://127.0.0.1:4317", \.otlpEndpoint),
                "The collector to export traces to, by OTLP over gRPC: http:// on this machine, https:// elsewhere.")
        case .otlpAuthorities:
            Setting(
                self, .file(\.otlpAuthorities, "/etc/hearth/collector.pem"),
                "The authorities that the collector's certificate is judged by, PEM (those of this machine).")
        case .otlpHeaders:
            Setting(
                self, .file(\.otlpHeaders, "/etc/hearth/collector.headers"),
                "A file, closed to others, of lines NAME: VALUE that every export carries, such as a token.")
        case .traceRatio:
            Setting(
                self, .fraction(\.traceRatio),
                "The part of the turns to trace whose callers do not say, from 0 to 1 (1).")
        case .logFormat:
            Setting(
                self, .choice(["text", "json"], \.logFormat), "The form of the agent's log: text, or json (text).")
        }
    }
}

extension Setting.Kind {
    fileprivate static func file(_ place: any Setting.Place<String?>, _ example: String) -> Setting.Kind {
        .text(noun: "the path of a file", example: example, place)
    }

    fileprivate static func folder(_ place: any Setting.Place<String?>, _ example: String) -> Setting.Kind {
        .text(noun: "the path of a folder", example: example, place)
    }
}
