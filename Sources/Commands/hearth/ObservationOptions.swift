internal import ArgumentParser
internal import Settings

/// Where traces go, and how the log is written; part of `hearth serve`.
struct ObservationOptions: ParsableArguments {
    @Option(help: .setting(.otlpEndpoint, "url"))
    var otlpEndpoint: String?
    @Option(name: .customLong("otlp-ca"), help: .setting(.otlpAuthorities, "file"))
    var otlpAuthorities: String?
    @Option(name: .customLong("otlp-headers-file"), help: .setting(.otlpHeaders, "file"))
    var otlpHeaders: String?
    @Option(help: .setting(.traceRatio, "part"))
    var traceRatio: String?
    @Option(help: .setting(.logFormat, "form"))
    var logFormat: String?

    var flags: [HostConfiguration.Key: [String]] {
        let given: [(HostConfiguration.Key, String?)] = [
            (.otlpEndpoint, otlpEndpoint), (.otlpAuthorities, otlpAuthorities), (.otlpHeaders, otlpHeaders),
            (.traceRatio, traceRatio), (.logFormat, logFormat),
        ]
        return given.reduce(into: [:]) { flags, pair in flags[pair.0] = pair.1.map { [$0] } }
    }
}
