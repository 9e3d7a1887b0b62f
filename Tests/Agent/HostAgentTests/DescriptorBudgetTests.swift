import GRPC
import Testing

@testable import HostAgent

struct DescriptorBudgetTests {
    @Test(arguments: [200, 256, 1_024, 4_096, 65_536, 1 << 30])
    func `consumers leave descriptors for backends, files and the owner`(descriptors: Int) {
        let budget = DescriptorBudget(descriptors: descriptors)
        #expect(budget.consumers(Limits()).connectionsMax + budget.closing + budget.descriptorsReserved <= descriptors)
        #expect(budget.owner.connectionsMax < budget.descriptorsReserved)
    }

    @Test func `where there are enough, consumers get what a server holds by default`() {
        #expect(DescriptorBudget(descriptors: 1 << 20).consumers(Limits()).connectionsMax == Limits().connectionsMax)
        let claimed = DescriptorBudget(descriptors: Limits().connectionsMax + 256 + DescriptorBudget.reserveMax)
        #expect(claimed.consumers(Limits()).connectionsMax == Limits().connectionsMax)
    }

    @Test func `where there are hardly any, a few may still connect`() {
        #expect(DescriptorBudget(descriptors: 0).consumers(Limits()).connectionsMax == 8)
    }
}
