import GRPC
import Testing

@testable import AdminService

struct SuccessorTests {
    @Test func `an agent makes way for the first that asks, and tells the others who that is`() throws {
        var successor = Successor()
        #expect(successor.pid == nil)
        try successor.become(17)
        #expect(successor.pid == 17)
        for pid in [17, 18] as [Int32] {
            let refusal = #expect(throws: Status.self) { try successor.become(pid) }
            #expect(refusal?.code == .failedPrecondition)
            #expect(refusal?.message.contains("17") == true)
        }
        #expect(successor.pid == 17)
    }
}
