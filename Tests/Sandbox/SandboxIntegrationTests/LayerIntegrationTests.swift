import Testing

/// What the layers stop, one at a time and without each other: with a launcher that leaves layers out.
@Suite(.serialized) struct LayerIntegrationTests {
    /// A layer, what it cannot do without, and how a sandbox of these is called.
    private struct Alone {
        let layer: String
        let vehicle: String
        let sandbox: String

        init(_ layer: String, on vehicle: String = "") {
            self.layer = layer
            self.vehicle = "only=" + vehicle
            sandbox = "only=" + (vehicle.isEmpty ? "" : vehicle + "+") + layer
        }
    }

    private static let layers = [
        Alone("user-namespace"), Alone("pid-namespace", on: "user-namespace"),
        Alone("mount-namespace+empty-root", on: "user-namespace"), Alone("network-namespace", on: "user-namespace"),
        Alone("landlock", on: "no-new-privileges"), Alone("seccomp", on: "no-new-privileges"),
    ]

    private static let promises: [(String, acts: [String])] = [
        (
            "secrets are not read",
            [
                "open-home", "open-home-by-first-call", "open-home-by-newest-call", "open-home-by-dots",
                "open-home-by-root-link", "open-home-by-link", "open-home-through-ring", "read-passwd",
                "read-machine-id", "list-home",
            ]
        ),
        (
            "the network is not reached",
            [
                "connect-ipv4", "connect-ipv6", "connect-mapped", "connect-fast-open", "connect-through-ring",
                "connect-multipath", "send-udp", "send-udp6", "send-several-udp", "listen-without-address",
            ]
        ),
        (
            "the agent and other programs are not attacked",
            [
                "signal-agent", "signal-victim", "signal-victim-group", "signal-victim-by-descriptor",
                "read-agent-memory", "read-victim-memory", "write-victim-memory", "trace-victim",
                "take-victim-descriptor",
            ]
        ),
    ]

    @Test("each promise is kept by at least two layers, each on its own", arguments: promises)
    func twoLayers(promise: String, acts: [String]) throws {
        let sandboxes = Set(Self.layers.flatMap { [$0.vehicle, $0.sandbox] }).sorted()
        let report = try AuditReport(sandboxes, acts: acts)
        report.tellWhatProvesNothing()
        #expect(Set(report.escaped("only=")) == Set(report.live), "without layers, nothing should be stopped")
        for act in report.live {
            let stopping = Self.layers.filter { alone in
                report.escaped(alone.vehicle).contains(act) && !report.escaped(alone.sandbox).contains(act)
            }
            #expect(stopping.count >= 2, "\(promise): \(act) is stopped alone only by \(stopping.map(\.layer))")
        }
    }

    @Test("without a filter the other layers stop files, network and other programs")
    func withoutFilter() throws {
        let sandbox = "without=seccomp+exec-once"
        let report = try AuditReport([sandbox], acts: Self.promises.flatMap(\.acts) + ["fork", "map-writable-code"])
        // The control of the control: there was indeed no filter.
        #expect(report.escaped(sandbox) == ["fork", "map-writable-code"])
    }
}
