internal import ArgumentParser
internal import Configuration
internal import HostAgent

/// How long consumers' connections live; part of `hearth serve`.
struct ConnectionTimeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Ping a consumer that has been silent for so long; 0: never (7200).", valueName: "seconds"))
    var keepaliveTime: UInt32?
    @Option(help: ArgumentHelp("Close its connection if it does not answer within so long (20).", valueName: "seconds"))
    var keepaliveTimeout: UInt32?
    @Option(
        help: ArgumentHelp(
            "End the connection of a consumer that pings more often, with too_many_pings (10).", valueName: "seconds"))
    var minPingInterval: UInt32?
    @Option(
        help: ArgumentHelp(
            "Close a connection that has had no call for so long; 0: never (1800).", valueName: "seconds"))
    var maxConnectionIdle: UInt32?
    @Option(
        help: ArgumentHelp(
            "Take no new calls on a connection of this age, so that load balancers spread load anew; 0: at any age (0).",
            valueName: "seconds"))
    var maxConnectionAge: UInt32?
    @Option(
        help: ArgumentHelp(
            "How long the calls on it may still go on before it is closed; 0: to their end (0).", valueName: "seconds"))
    var maxConnectionAgeGrace: UInt32?

    var flags: [HostConfiguration.Key: ConfigContent] {
        let given: [(HostConfiguration.Key, UInt32?)] = [
            (.keepaliveTime, keepaliveTime), (.keepaliveTimeout, keepaliveTimeout), (.minPingInterval, minPingInterval),
            (.maxConnectionIdle, maxConnectionIdle), (.maxConnectionAge, maxConnectionAge),
            (.maxConnectionAgeGrace, maxConnectionAgeGrace),
        ]
        var flags: [HostConfiguration.Key: ConfigContent] = [:]
        for case (let key, let seconds?) in given { flags[key] = .int(Int(seconds)) }
        return flags
    }
}
