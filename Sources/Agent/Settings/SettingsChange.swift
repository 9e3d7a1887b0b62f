/// What becomes of settings that are read again while the agent runs. Pure.
package struct SettingsChange: Equatable, Sendable {
    /// Settings with another value that come into force at once, ordered by name.
    package let applied: [HostConfiguration.Key]
    /// Those whose other value comes into force with the agent's next start, ordered by name.
    package let needsRestart: [HostConfiguration.Key]
    /// The settings in force afterwards.
    package let result: HostConfiguration

    /// `old` are the settings in force, `new` those that were read. Throws where what could come into force now contradicts
    /// what cannot.
    package init(from old: HostConfiguration, to new: HostConfiguration) throws(HostError) {
        let changed = HostConfiguration.Key.allCases.filter { $0.setting.differs(old, new) }
            .sorted { $0.rawValue < $1.rawValue }
        applied = changed.filter(\.isLive)
        needsRestart = changed.filter { !$0.isLive }
        var result = old
        for key in applied { key.setting.copy(from: new, to: &result) }
        do throws(HostError) {
            self.result = try result.validated()
        } catch {
            let names = needsRestart.map(\.rawValue).joined(separator: ", ")
            throw HostError("\(error); \(names) cannot change while the agent runs: restart it instead")
        }
    }
}

extension HostConfiguration.Key {
    /// Whether a running agent can take over another value, all of it at once.
    package var isLive: Bool {
        switch self {
        // The bridge is a process of its own, whose address, names and origins its agent gives it.
        case .http, .httpNames, .httpOrigins: true
        // It is asked of each call when it begins.
        case .requireKey: true
        // They are looked at when a model becomes idle, and before one is loaded.
        case .keepAlive, .memory: true
        // Each connection takes them when it is opened.
        case .keepaliveTime, .keepaliveTimeout, .minPingInterval, .maxConnectionIdle, .maxConnectionAge,
            .maxConnectionAgeGrace:
            true
        // Listeners and their certificates stay as they were opened.
        case .listen, .plaintext, .tls, .tlsCertificate, .tlsKey, .tlsClientAuthority, .tlsClientSubjects, .tlsMinimum:
            false
        // What is found in folders, and held in sandboxes, was found and is held by the earlier values.
        case .backends, .models, .state, .policies, .tier, .pinBackends, .readable, .devices: false
        // What is kept over the agent's death was begun so that it can be kept.
        case .surviveCrash: false
        // The exporter of traces and the log are set up before anything else.
        case .otlpEndpoint, .otlpAuthorities, .otlpHeaders, .traceRatio, .logFormat: false
        // Root was given up.
        case .user: false
        }
    }
}
