package import InferenceMessages

/// The agent's counters in Prometheus's text format (prometheus.io/docs/instrumenting/exposition_formats, version
/// 0.0.4), which OpenMetrics collectors read too. Pure.
package struct MetricsText {
    package private(set) var text = ""

    package init(status: Hearth_Admin_V1_Status, limits: [Hearth_Admin_V1_Limit]) {
        add("hearth_info", .gauge, "The agent's version.", [(["version": status.version], 1)])
        add(
            "hearth_uptime_seconds", .gauge, "Seconds since the agent began to accept connections.",
            Double(status.uptimeMilliseconds) / 1_000)
        add("hearth_paused", .gauge, "1 while the owner lets nothing compute.", status.hold.pause.isEmpty ? 0 : 1)
        add("hearth_draining", .gauge, "1 while the owner lets no new request begin.", status.hold.draining ? 1 : 0)
        add("hearth_open_connections", .gauge, "Open connections of consumers.", Double(status.openConnections))
        add("hearth_open_calls", .gauge, "Open gRPC calls of consumers.", Double(status.openCalls))
        add("hearth_tokens_sent_total", .counter, "Completion tokens sent to consumers.", Double(status.tokensSent))
        add(
            "hearth_turns_total", .counter, "Turns that ended, by result: with usage, or with an error.",
            [
                (["result": "finished"], Double(status.turnsFinished)),
                (["result": "failed"], Double(status.turnsFailed)),
            ])
        add(
            "hearth_turns_absent", .gauge, "Turns that run or wait while no call reads them.",
            Double(status.turnsAbsent))
        add(
            "hearth_embeddings_total", .counter, "Requests of Embed and Rerank that ended, by result.",
            [
                (["result": "finished"], Double(status.embeddingsFinished)),
                (["result": "failed"], Double(status.embeddingsFailed)),
            ])
        add(
            "hearth_embedded_tokens_total", .counter, "Tokens computed for Embed and Rerank.",
            Double(status.embeddedTokens))
        if status.hasTraceExport { add(status.traceExport) }
        add(backends: status.backends)
        add(
            "hearth_limit", .gauge, "The limits in force, each in the unit of its name.",
            limits.map { (["limit": $0.name], Double($0.value)) })
        add(
            "hearth_limit_met_total", .counter, "How often consumers met the limit.",
            limits.filter(\.hasTimesMet).map { (["limit": $0.name], Double($0.timesMet)) })
    }

    private mutating func add(_ export: Hearth_Admin_V1_TraceExport) {
        add(
            "hearth_trace_spans_total", .counter, "Spans of traces that ended their way, by result.",
            [
                (["result": "exported"], Double(export.spansExported)),
                (["result": "dropped"], Double(export.spansDropped)),
            ])
        add("hearth_trace_spans_waiting", .gauge, "Spans that wait to be exported.", Double(export.spansWaiting))
        add(
            "hearth_trace_export_failing", .gauge, "1 while traces cannot be exported.",
            export.state == "failing" ? 1 : 0)
    }

    private enum Kind: String { case gauge, counter }

    private typealias Sample = (labels: [String: String], value: Double)

    private mutating func add(backends: [Hearth_Admin_V1_Backend]) {
        func labels(_ backend: Hearth_Admin_V1_Backend) -> [String: String] {
            ["backend": backend.name, "model": backend.model]
        }
        func samples(_ value: (Hearth_Admin_V1_Backend) -> Double) -> [Sample] {
            backends.map { backend in
                let replica = backend.replica == 0 ? [:] : ["replica": "\(backend.replica)"]
                return (labels(backend).merging(replica) { $1 }, value(backend))
            }
        }
        add(
            "hearth_backend_ready", .gauge, "1 if the model can be used now, else 0.",
            samples { $0.state == "ready" ? 1 : 0 })
        add("hearth_backend_sequences", .gauge, "Running sequences and embeddings.", samples { Double($0.running) })
        add(
            "hearth_backend_sequences_max", .gauge, "The most sequences that may run at once.",
            samples { Double($0.maxSequences) })
        // They wait for the model, not for one of its processes.
        add(
            "hearth_backend_waiting", .gauge, "Requests that wait for the model.",
            backends.filter { $0.replica <= 1 }.map { (labels($0), Double($0.waiting)) })
        add("hearth_backend_steps_total", .counter, "Decode steps computed.", samples { Double($0.steps) })
        add("hearth_backend_tokens_total", .counter, "Tokens computed.", samples { Double($0.tokens) })
        add(
            "hearth_backend_restarts_total", .counter, "Restarts of the backend's process.",
            samples { Double($0.restarts) })
        add(
            "hearth_backend_denied_calls_total", .counter, "System calls that the backend's filter denied.",
            samples { Double($0.deniedCalls) })
    }

    private mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        add(name, kind, help, [([:], value)])
    }

    private mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            let labels = sample.labels.sorted { $0.key < $1.key }
                .map { "\($0.key)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
            text += name + (labels.isEmpty ? "" : "{\(labels)}") + " \(Self.written(sample.value))\n"
        }
    }

    /// Counts are written without a fraction.
    private static func written(_ value: Double) -> String {
        if let whole = UInt64(exactly: value) { "\(whole)" } else { "\(value)" }
    }

    private static func escaped(_ value: String) -> String {
        value.reduce(into: "") { text, character in
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
    }
}
