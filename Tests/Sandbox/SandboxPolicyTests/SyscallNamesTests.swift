import SandboxPolicy
import Testing

struct SyscallNamesTests {
    @Test("names and numbers lead to one another, for calls that libseccomp lacks too")
    func roundTrip() {
        #expect(SyscallNames.all.count > 300)
        for (number, name) in SyscallNames.all {
            #expect(SyscallNames.number(of: name) == number)
            #expect(SyscallNames.name(of: number) == name)
        }
        #expect(SyscallNames.number(of: "mseal") == 462)
        #expect(SyscallNames.name(of: 462) == "mseal")
    }

    @Test("numbers that nobody knows have no name", arguments: [1000, 1 << 30, 0x4000_0000, UInt32.max])
    func unknown(number: UInt32) { #expect(SyscallNames.name(of: number) == nil) }

    @Test("a call of other architectures is known, and has no number here")
    func otherArchitecture() {
        #expect(SyscallNames.isKnown("socketcall"))
        #expect(SyscallNames.number(of: "socketcall") == nil)
        #expect(!SyscallNames.isKnown("opennat"))
    }
}
