import SandboxPolicy
import Testing

struct ArgumentClassTests {
    private func number(_ name: String) throws -> UInt32 { try #require(SyscallNames.number(of: name)) }

    @Test("the telling argument of a call has a place")
    func place() throws {
        for (name, index) in [
            ("socket", 0), ("prctl", 0), ("ioctl", 1), ("mmap", 2), ("newfstatat", 3), ("execveat", 4),
        ] {
            #expect(ArgumentClass.index(ofCall: try number(name)) == index)
        }
        #expect(ArgumentClass.index(ofCall: .max) == nil)
    }

    @Test("calls that do one thing have no telling argument")
    func none() throws {
        for name in ["read", "openat", "futex", "clone3"] {
            #expect(ArgumentClass.index(ofCall: try number(name)) == nil)
        }
    }
}
