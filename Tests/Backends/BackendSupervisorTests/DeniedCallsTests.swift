import LaunchPlan
import SandboxPolicy
import SeccompFilter
import Testing

@testable import BackendSupervisor

@Suite struct DeniedCallsTests {
    private func call(_ name: String, _ arguments: [UInt64], count: UInt64) throws -> SupervisedCall {
        SupervisedCall(SystemCall(try #require(SyscallNames.number(of: name)), arguments), errno: 1, count: count)
    }

    @Test("a call that each process makes with other addresses is one kind, and its counts add up")
    func addresses() throws {
        var denied = DeniedCalls()
        denied.note(try call("readlink", [0x7000, 0x8000, 64, 0, 0, 0], count: 2))
        denied.processEnded()
        denied.note(try call("readlink", [0x9000, 0xa000, 64, 0, 0, 0], count: 1))
        denied.note(try call("readlink", [0x9000, 0xa000, 64, 0, 0, 0], count: 3))
        #expect(denied.entries.map(\.call.count) == [5])
    }

    @Test("what tells kinds apart, such as the family of a socket, does so over processes too")
    func kinds() throws {
        var denied = DeniedCalls()
        denied.note(try call("socket", [2, 1, 0, 0, 0, 0], count: 1))
        denied.processEnded()
        denied.note(try call("socket", [10, 1, 0, 0, 0, 0], count: 1))
        #expect(denied.entries.map(\.call.call.arguments.first) == [2, 10])
    }
}
