import GRPCServices
import Testing

@testable import HostAgent

struct HealthReportTests {
    @Test("The host serves whatever its models do, the inference service with one that is ready, a model by itself")
    func models() {
        #expect(HealthReport.health(inference: "i", models: []) == ["": .serving, "i": .notServing])
        #expect(
            HealthReport.health(inference: "i", models: [("a", false), ("b", true)])
                == ["": .serving, "i": .serving, "a": .notServing, "b": .serving])
    }

    @Test("No model takes the name of the host or of the inference service")
    func names() {
        #expect(
            HealthReport.health(inference: "i", models: [("i", false), ("", false), ("b", true)])
                == ["": .serving, "i": .serving, "b": .serving])
    }
}
