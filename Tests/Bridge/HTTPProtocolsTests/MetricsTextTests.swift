import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct MetricsTextTests {
    @Test func `counts and labels stand as Prometheus reads them, one description for each name`() {
        let status = Hearth_Admin_V1_Status.with {
            $0.version = "1.2"
            $0.uptimeMilliseconds = 1_500
            $0.tokensSent = 12_345_678_901
            $0.turnsFinished = 3
            $0.turnsAbsent = 2
            $0.hold.pause = "frozen"
            $0.backends = ["a", "b"].map { name in
                .with {
                    $0.name = name
                    $0.model = "with \"quotes\", \\ and\nlines"
                    $0.state = name == "a" ? "ready" : "failed"
                }
            }
        }
        let limits = [
            Hearth_Admin_V1_Limit.with {
                $0.name = "messageBytesMax"
                $0.value = 4_194_304
                $0.timesMet = 7
            },
            .with { $0.name = "lingerMilliseconds" },
        ]
        let lines = MetricsText(status: status, limits: limits).text.split(separator: "\n").map(String.init)
        for line in [
            "# TYPE hearth_tokens_sent_total counter", "hearth_info{version=\"1.2\"} 1", "hearth_uptime_seconds 1.5",
            "hearth_tokens_sent_total 12345678901", "hearth_turns_total{result=\"finished\"} 3",
            "hearth_turns_total{result=\"failed\"} 0", "hearth_turns_absent 2",
            "hearth_limit{limit=\"messageBytesMax\"} 4194304",
            "hearth_limit_met_total{limit=\"messageBytesMax\"} 7",
            "hearth_paused 1", "hearth_draining 0",
            #"hearth_backend_ready{backend="a",model="with \"quotes\", \\ and\nlines"} 1"#,
            #"hearth_backend_ready{backend="b",model="with \"quotes\", \\ and\nlines"} 0"#,
        ] {
            #expect(lines.contains(line), "\(line)")
        }
        #expect(!lines.contains { $0.hasPrefix("hearth_limit_met_total{limit=\"lingerMilliseconds\"") })
        let described = lines.filter { $0.hasPrefix("# TYPE") }
        #expect(Set(described).count == described.count)
    }

    @Test func `the processes of a model are told apart, and what waits for the model is counted once`() {
        let status = Hearth_Admin_V1_Status.with {
            $0.backends = [1, 2].map { number in
                .with {
                    $0.name = "a"
                    $0.model = "m"
                    $0.replica = UInt32(number)
                    $0.tokens = UInt64(number)
                    $0.waiting = 5
                }
            }
        }
        let lines = MetricsText(status: status, limits: []).text.split(separator: "\n").map(String.init)
        #expect(lines.contains(#"hearth_backend_tokens_total{backend="a",model="m",replica="1"} 1"#))
        #expect(lines.contains(#"hearth_backend_tokens_total{backend="a",model="m",replica="2"} 2"#))
        let waiting = lines.filter { $0.hasPrefix("hearth_backend_waiting") }
        #expect(waiting == [#"hearth_backend_waiting{backend="a",model="m"} 5"#])
    }

    @Test func `an agent without backends has no metrics of backends`() {
        let text = MetricsText(status: Hearth_Admin_V1_Status(), limits: []).text
        #expect(!text.contains("backend") && text.contains("hearth_open_calls 0\n") && text.hasSuffix("\n"))
    }
}
