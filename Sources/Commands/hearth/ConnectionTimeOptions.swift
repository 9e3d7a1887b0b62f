internal import ArgumentParser
internal import Settings

/// How long consumers' connections live; part of `hearth serve`.
struct ConnectionTimeOptions: ParsableArguments {
    @Option(help: .setting(.keepaliveTime, "seconds"))
    var keepaliveTime: String?
    @Option(help: .setting(.keepaliveTimeout, "seconds"))
    var keepaliveTimeout: String?
    @Option(help: .setting(.minPingInterval, "seconds"))
    var minPingInterval: String?
    @Option(help: .setting(.maxConnectionIdle, "seconds"))
    var maxConnectionIdle: String?
    @Option(help: .setting(.maxConnectionAge, "seconds"))
    var maxConnectionAge: String?
    @Option(help: .setting(.maxConnectionAgeGrace, "seconds"))
    var maxConnectionAgeGrace: String?

    var flags: [HostConfiguration.Key: [String]] {
        let given: [(HostConfiguration.Key, String?)] = [
            (.keepaliveTime, keepaliveTime), (.keepaliveTimeout, keepaliveTimeout), (.minPingInterval, minPingInterval),
            (.maxConnectionIdle, maxConnectionIdle), (.maxConnectionAge, maxConnectionAge),
            (.maxConnectionAgeGrace, maxConnectionAgeGrace),
        ]
        return given.reduce(into: [:]) { flags, pair in flags[pair.0] = pair.1.map { [$0] } }
    }
}
