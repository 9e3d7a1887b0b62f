import EventLoop
import Foundation
import Testing

@testable import BackendSupervisor

extension Workbench {
    /// Cuts the weights short under a backend that has them mapped, and expects what its owner and its consumer then read.
    func expectCutWeightsAreTold() async throws {
        let manifest = #"{"models": [{"id": "m", "file": "weights.bin"}]}"#
        try write("weights.bin", String(repeating: "w", count: 1 << 16))
        try add("unruly", as: "unruly-maps-weights", manifest: manifest)
        let backend = try await start()
        let collector = collect()
        #expect(backend.begin(request: try request(), credit: 3, handler: collector) != nil)
        await until { collector.tokens.count == 1 }
        #expect(truncate("\(folder)/weights.bin", 0) == 0)
        await until { collector.ends == 1 && backend.pid == 0 }
        let reason = "was killed by signal 7 (SIGBUS)"
        #expect(collector.lossReason == "the backend unruly-maps-weights \(reason)", "consumers learn no path")
        let path = "\(folder)/weights.bin"
        let told = "\(reason); its weights, \(path), changed under it or could not be read"
        await until { [self] in story.contains { $0.contains(told) } }
    }
}
