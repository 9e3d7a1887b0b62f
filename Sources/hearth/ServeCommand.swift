internal import ArgumentParser
internal import Configuration
internal import EventLoop
internal import Foundation
internal import HostAgent
internal import LinuxSystem
internal import Logging

struct ServeCommand: AsyncParsableCommand, HandlesSignals {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the agent: start the backends and accept consumers.",
        discussion: """
            Prints one line on standard output once it accepts, with the addresses and its process id; logs go to standard \
            error. SIGTERM or Ctrl-C lets open streams end for --grace seconds and stops; a second one stops at once.

            Addresses that other machines can reach are always served with TLS, by default with a certificate generated \
            in the state folder, whose fingerprint is logged. Loopback and Unix sockets are plaintext unless --tls is given. \
            They also ask for a token (see 'hearth token --help'). The first start of an agent with such an address makes \
            one, 'default', and prints on standard output what to connect with, once:
              hearth chat --to 'hearth://HOST:PORT?token=...&fingerprint=sha256:...'
            With --tls-client-authority a client's certificate takes the token's place, unless --require-token is given.
            On loopback and Unix sockets whoever can reach them can use the models, unless --require-token is given.

            IPv6 addresses stand in brackets, a link-local one with its interface: [::1]:50051, [fe80::1%eth0]:50051. [::] \
            accepts IPv4 too, so 0.0.0.0 with the same port beside it is in use.

            Certificates and keys that are replaced are taken over within two seconds, or at once on SIGHUP: connections go \
            on, new ones get the new certificate, and a pair that does not fit is logged and not used.

            --take-over replaces a running agent, by a newer version or with other settings, without a stream lost or a \
            connection refused: the new one starts its backends, serves the same addresses once they are ready, and tells \
            the old one to make way. That one lets its open streams end, for an hour at most, and ends; SIGTERM ends it \
            sooner. Until then both hold their models in memory. Where a model does not become ready, the new one gives up \
            and the old one goes on.

            Every setting can also be given as an environment variable (HEARTH_LISTEN, HEARTH_STATE, HEARTH_TLS_KEY, ...) \
            or in the --config file, a JSON object with the same names, such as
              {"listen": ["127.0.0.1:50051"], "backends": "/srv/backends", "tier": "full"}
            A flag wins over the environment, and the environment over the file.

            EXAMPLES
              hearth serve --backends ~/backends
              hearth serve --listen 127.0.0.1:0 --listen unix:/run/user/1000/hearth.sock
              hearth serve --listen '[::]:50051' --tls-certificate host.pem --tls-key host.key
            """)

    @Option(
        help: ArgumentHelp(
            "Where to accept consumers; may be repeated. Port 0: a free one.", valueName: "host:port|unix:path"))
    var listen: [String] = []
    @Flag(help: "Refuse every address that would need TLS.")
    var plaintext = false
    @Flag(help: "Serve TLS on loopback and Unix sockets too.")
    var tls = false
    @Option(help: ArgumentHelp("The certificate chain, PEM.", valueName: "file"))
    var tlsCertificate: String?
    @Option(help: ArgumentHelp("Its private key, PEM.", valueName: "file"))
    var tlsKey: String?
    @Option(
        help: ArgumentHelp(
            "Ask every client for a certificate that an authority in this PEM file signed.", valueName: "file"))
    var tlsClientAuthority: String?
    @Option(
        name: .customLong("tls-client-subject"),
        help: ArgumentHelp(
            "Let only such a certificate call: its common name, or a DNS or URI alternative name; may be repeated.",
            valueName: "name"))
    var tlsClientSubjects: [String] = []
    @Option(help: ArgumentHelp("The oldest TLS to accept: 1.3, or 1.2.", valueName: "version"))
    var tlsMinimum: String?
    @Flag(help: "Ask for a token on loopback and Unix sockets too; elsewhere it is always asked for.")
    var requireToken = false
    @Option(help: ArgumentHelp("The folder of backend executables.", valueName: "dir"))
    var backends: String?
    @Option(help: ArgumentHelp("The folder of what the agent keeps.", valueName: "dir"))
    var state: String?
    @Option(help: ArgumentHelp("The folder of seccomp policies.", valueName: "dir"))
    var policies: String?
    @Option(
        help: ArgumentHelp(
            "The sandbox to insist on: full, or reduced where user namespaces are not to be had.", valueName: "tier"))
    var tier: String?
    @Option(help: ArgumentHelp("Who to become when started as root.", valueName: "name"))
    var user: String?
    @Option(
        help: ArgumentHelp(
            "A path that backends' manifests may ask to read, with all below it; may be repeated.", valueName: "path"))
    var readable: [String] = []
    @Option(
        name: .customLong("device"),
        help: ArgumentHelp("A device that manifests may ask to use; may be repeated.", valueName: "path"))
    var devices: [String] = []
    @OptionGroup(title: "Connections") var connectionTimes: ConnectionTimeOptions
    @Option(help: ArgumentHelp("A JSON file of settings.", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("How long open streams may go on after SIGTERM.", valueName: "seconds"))
    var grace: UInt32 = 10
    @Flag(help: "Take over from the agent that runs with the same state folder, without its consumers noticing.")
    var takeOver = false

    mutating func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let settings = try await ConfigurationLoader.load(flags: flags, environment: environment, file: config)
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        let executable = try InstalledParts.ownExecutable()
        let logger = Logger(label: "hearth")
        let agent = try await HostAgent(settings, executable: executable, environment: environment, logger: logger)
        try await ServeSession(agent: agent, logger: logger, graceSeconds: grace).run(takingOver: takeOver)
    }

    private var flags: [HostConfiguration.Key: ConfigContent] {
        var flags = connectionTimes.flags
        if !listen.isEmpty { flags[.listen] = .stringArray(listen) }
        if !readable.isEmpty { flags[.readable] = .stringArray(readable) }
        if !devices.isEmpty { flags[.devices] = .stringArray(devices) }
        if plaintext { flags[.plaintext] = .bool(true) }
        if tls { flags[.tls] = .bool(true) }
        if !tlsClientSubjects.isEmpty { flags[.tlsClientSubjects] = .stringArray(tlsClientSubjects) }
        if requireToken { flags[.requireToken] = .bool(true) }
        for (key, value) in [
            (HostConfiguration.Key.tlsCertificate, tlsCertificate), (.tlsKey, tlsKey), (.tlsMinimum, tlsMinimum),
            (.tlsClientAuthority, tlsClientAuthority), (.backends, backends),
            (.state, state),
            (.policies, policies), (.tier, tier), (.user, user),
        ] {
            if let value { flags[key] = .string(value) }
        }
        return flags
    }
}
