import LinuxSystem
import Testing

@testable import BackendSupervisor

struct LoadObstacleTests {
    private static let facts = try! FileFacts(path: "/dev/null")
    private static let whole = WeightsLook.found(facts, isSettled: true)
    private static let coming = WeightsLook.found(facts, isSettled: false)

    private func obstacle(_ weights: [WeightsLook], _ inspected: InspectedFile? = nil) -> LoadObstacle? {
        LoadObstacle(weights, inspected: inspected, wait: "waits for its weights")
    }

    @Test(arguments: [[], [.none], [whole], [whole, whole]] as [[WeightsLook]])
    func `weights that are whole, or not needed, are none`(weights: [WeightsLook]) {
        #expect(obstacle(weights) == nil && obstacle(weights, .unable) == nil)
        #expect(obstacle(weights, .untold("it ended")) == nil)
    }

    @Test(arguments: [[.missing], [coming], [whole, .missing]] as [[WeightsLook]])
    func `weights that are missing or being written are waited for`(weights: [WeightsLook]) throws {
        let found = try #require(obstacle(weights))
        #expect(found.sentence == "waits for its weights" && !found.isFinal)
    }

    @Test func `weights that are refused, and a model that cannot be loaded, are for their owner`() throws {
        let weights = try #require(obstacle([.missing, .refused("belongs to another user")], .refused("is damaged")))
        #expect(weights.sentence == "belongs to another user" && weights.isFinal)
        let model = try #require(obstacle([.missing], .refused("is damaged")))
        #expect(model.sentence == "is damaged" && model.isFinal)
    }
}
