internal import ArgumentParser
internal import EventLoop
internal import Foundation
internal import HostAgent
internal import Installation
internal import LinuxSystem
internal import Logging
internal import Settings

struct ServeCommand: AsyncParsableCommand, HandlesSignals {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the agent: start the backends and accept consumers.",
        discussion: """
            The agent prints one line on standard output once it accepts connections, with its addresses and process \
            id; logs go to standard error. SIGTERM or Ctrl-C gives open streams --grace seconds to end, and then stops \
            the agent; a second one stops it at once.

            Addresses that other machines can reach always have TLS, by default with a certificate generated in the \
            state folder, whose fingerprint is logged, and always require a key (see 'hearth key --help'). Loopback \
            and Unix sockets are plaintext unless --tls is given, and every program that can reach them can use the \
            models unless --require-key is given. The first start with an address that other machines can reach makes \
            a key, 'default', and prints on standard output, once, the command to connect with:
              hearth chat --to 'hearth://HOST:PORT?key=...&fingerprint=sha256:...'
            With --tls-client-authority a client's certificate takes the key's place, unless --require-key is given.

            HTTP beyond loopback (--http) has TLS and keys, too, with the same certificate; it is not served before there \
            is a key.

            IPv6 addresses are written in brackets, a link-local one with its interface: [::1]:50051, \
            [fe80::1%eth0]:50051. [::] accepts IPv4 too, so it excludes 0.0.0.0 with the same port.

            The agent serves replaced certificates and keys within two seconds, or at once on 'hearth reload': connections go \
            on, new ones get the new certificate, and a certificate and key that do not match are logged and not used.

            'hearth upgrade' has a running agent replaced by the version that is installed now. --take-over does the same \
            by hand, also with other settings. No stream is lost and no connection refused: the addresses, the backends \
            with their models in memory, and the open calls pass to the new agent. The old one relays what its consumers \
            are connected for, for an hour at most, and ends; SIGTERM ends it sooner. If the new agent does not come up, \
            or would not serve a model that the old one serves, it gives up, and the old one continues.

            Every setting can also be given as an environment variable (HEARTH_LISTEN, HEARTH_STATE, HEARTH_TLS_KEY, \
            ...) or in a file, a JSON object with the same names, such as
              {"listen": ["127.0.0.1:50051"], "backends": "/srv/backends", "tier": "full"}
            The file is --config FILE, or else ~/.config/hearth/settings.json, or /etc/hearth/settings.json for a service, \
            if that is there; an agent with another state folder (--state) reads only the file that --config names. \
            'hearth reload', or SIGHUP, has the agent read all of this again. \
            A flag wins over the environment, and the environment over the file. A list is a JSON list in the file and \
            has commas in the environment. The agent never ignores a setting: an unknown name, a value of another \
            type, an empty value or a file that is no strict JSON ends the start with exit code 78 and one line that \
            names it.

            EXAMPLES
              hearth serve --backends ~/backends
              hearth serve --listen 127.0.0.1:0 --listen unix:/run/user/1000/hearth.sock
              hearth serve --listen '[::]:50051' --tls-certificate host.pem --tls-key host.key
            """)

    @Option(help: .setting(.listen, "host:port|unix:path"))
    var listen: [String] = []
    @Flag(help: .setting(.plaintext))
    var plaintext = false
    @Flag(help: .setting(.tls))
    var tls = false
    @Option(help: .setting(.tlsCertificate, "file"))
    var tlsCertificate: String?
    @Option(help: .setting(.tlsKey, "file"))
    var tlsKey: String?
    @Option(help: .setting(.tlsClientAuthority, "file"))
    var tlsClientAuthority: String?
    @Option(name: .customLong("tls-client-subject"), help: .setting(.tlsClientSubjects, "name"))
    var tlsClientSubjects: [String] = []
    @Option(help: .setting(.tlsMinimum, "version"))
    var tlsMinimum: String?
    @Flag(help: .setting(.requireKey))
    var requireKey = false
    /// Its name in earlier versions.
    @Flag(help: .hidden)
    var requireToken = false
    @Option(help: .setting(.backends, "dir"))
    var backends: String?
    @Option(help: .setting(.models, "dir"))
    var models: [String] = []
    @Option(help: .setting(.keepAlive, "seconds"))
    var keepAlive: String?
    @Option(help: .setting(.memory, "size"))
    var memory: String?
    @Option(help: .setting(.state, "dir"))
    var state: String?
    @Option(help: .setting(.policies, "dir"))
    var policies: String?
    @Option(help: .setting(.tier, "tier"))
    var tier: String?
    @Option(help: .setting(.pinBackends, "way"))
    var pinBackends: String?
    @Option(help: .setting(.surviveCrash, "seconds"))
    var surviveCrash: String?
    @Option(help: .setting(.user, "name"))
    var user: String?
    @Option(help: .setting(.readable, "path"))
    var readable: [String] = []
    @Option(name: .customLong("device"), help: .setting(.devices, "path"))
    var devices: [String] = []
    @Option(help: .setting(.http, "host:port"))
    var http: String?
    @Option(name: .customLong("http-name"), help: .setting(.httpNames, "name"))
    var httpNames: [String] = []
    @Option(name: .customLong("http-origin"), help: .setting(.httpOrigins, "origin"))
    var httpOrigins: [String] = []
    @OptionGroup(title: "Connections") var connectionTimes: ConnectionTimeOptions
    @OptionGroup(title: "Traces and log") var observation: ObservationOptions
    @Option(help: ArgumentHelp("A JSON file of settings, in place of the usual one.", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("How long open streams may go on after SIGTERM.", valueName: "seconds"))
    var grace: UInt32 = 10
    /// Stops when the pipe of this descriptor is at its end, which means that the process that started the agent has
    /// gone.
    @Option(help: .hidden)
    var untilClosed: Int32?
    @Flag(help: "Replace the agent that runs with the same state folder, without its consumers noticing.")
    var takeOver = false

    /// How long the command waits at its end for the reader of the log.
    private static let logFlushMilliseconds = 1_000

    mutating func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let laterLog = LaterLog(environment: environment)
        let source = SettingsSource(
            flags: flags, environment: environment,
            named: config.map { URL(fileURLWithPath: $0).standardizedFileURL.path },
            usual: try SettingsPlace.usual(state: state, environment: environment))
        let settings = try source.read()
        let log = LogStream()
        defer { log.flush(milliseconds: ServeCommand.logFlushMilliseconds) }
        let isJSON = settings.logFormat == "json"
        LoggingSystem.bootstrap { label -> any LogHandler in
            if isJSON { return JSONLogHandler(label: label, stream: log) }
            return StreamLogHandler(label: label, stream: log, metadataProvider: nil)
        }
        let executable = try InstalledParts.ownExecutable()
        let logger = Logger(label: "hearth")
        for variable in SettingsEnvironment.unknown(in: environment) {
            logger.warning("\(variable) in the environment is no setting, and means nothing to the agent")
        }
        for name in settings.olderNames + (requireToken ? ["'--require-token' is called '--require-key' now"] : []) {
            logger.warning("\(name)")
        }
        let agent = try await HostAgent(
            settings, from: source, executable: executable, arguments: CommandLine.arguments, environment: environment,
            logger: logger)
        try await ServeSession(
            agent: agent, logger: logger, graceSeconds: grace, untilClosed: untilClosed, laterLog: laterLog,
            manager: ServiceManager(environment: environment)
        ).run(takingOver: takeOver)
    }

    private var flags: [HostConfiguration.Key: [String]] {
        var flags = connectionTimes.flags.merging(observation.flags) { $1 }
        flags[.plaintext] = plaintext ? ["true"] : nil
        flags[.tls] = tls ? ["true"] : nil
        flags[.requireKey] = requireKey || requireToken ? ["true"] : nil
        for (key, texts) in [
            (HostConfiguration.Key.listen, listen), (.readable, readable), (.devices, devices),
            (.tlsClientSubjects, tlsClientSubjects), (.models, models), (.httpNames, httpNames),
            (.httpOrigins, httpOrigins),
        ] where !texts.isEmpty { flags[key] = texts }
        for case (let key, let text?) in [
            (HostConfiguration.Key.tlsCertificate, tlsCertificate), (.tlsKey, tlsKey), (.tlsMinimum, tlsMinimum),
            (.tlsClientAuthority, tlsClientAuthority), (.backends, backends), (.state, state), (.policies, policies),
            (.tier, tier), (.pinBackends, pinBackends), (.user, user), (.keepAlive, keepAlive), (.memory, memory),
            (.http, http), (.surviveCrash, surviveCrash),
        ] { flags[key] = [text] }
        return flags
    }
}

extension ArgumentHelp {
    /// The help of a setting, from its description.
    static func setting(_ key: HostConfiguration.Key, _ valueName: String? = nil) -> ArgumentHelp {
        ArgumentHelp("\(key.setting.meaning)", valueName: valueName)
    }
}
