import GRPC
import Testing

@testable import ConsumerAccess

struct RequestPriorityTests {
    private func read(_ values: String...) throws -> RequestPriority? {
        var metadata = Metadata()
        for value in values { try metadata.add("hearth-priority", value) }
        return try RequestPriority(in: metadata)
    }

    @Test func `it is read from the metadata, where there is one`() throws {
        #expect(try read() == nil)
        for priority in RequestPriority.allCases { #expect(try read(priority.rawValue) == priority) }
        #expect(RequestPriority.low < .normal && .normal < RequestPriority.high)
    }

    @Test(arguments: ["", "High", "urgent", "2", "low, high"])
    func `any other value is an invalid argument that names what there is`(value: String) {
        let status = #expect(throws: Status.self) { try read(value) }
        #expect(status?.code == .invalidArgument)
        #expect(status?.message.contains("low, normal, high") == true)
        #expect(status?.badFields == ["hearth-priority"])
    }

    @Test func `so are two of them`() {
        #expect(throws: Status.self) { try read("low", "low") }
    }
}
