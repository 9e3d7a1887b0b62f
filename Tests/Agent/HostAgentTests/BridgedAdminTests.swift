import AdminService
import HTTPProtocols
import Testing

struct BridgedAdminTests {
    @Test func `the bridge is served what the owner's REST asks, and nothing else`() {
        #expect(Set(OwnerEndpoint.all.flatMap(\.calls)) == BridgedAdmin.methods)
    }
}
