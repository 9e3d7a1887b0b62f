import PolicyExplanation
import SandboxPolicy
import Testing

struct ArgumentWordsTests {
    private func number(_ name: String) throws -> UInt32 { try #require(SyscallNames.number(of: name)) }

    @Test("the telling argument of a call has a place and words")
    func words() throws {
        for (name, index, value, words) in [
            ("socket", 0, 2, "AF_INET"), ("socket", 0, 38, "AF_ALG"), ("socket", 0, 99, "99"),
            ("prctl", 0, 1, "PR_SET_PDEATHSIG"), ("ioctl", 1, 0x5412, "TIOCSTI"),
            ("ioctl", 1, 0xc020_462a, "0xc020462a, a request of the NVIDIA driver"),
            ("mmap", 2, 7, "PROT_READ|PROT_WRITE|PROT_EXEC"), ("mprotect", 2, 0, "PROT_NONE"),
            ("clone", 0, 17, "SIGCHLD"), ("clone", 0, 0x1000_0011, "SIGCHLD|CLONE_NEWUSER"),
            ("unshare", 0, 0x4000_0000, "CLONE_NEWNET"), ("fcntl", 1, 8, "F_SETOWN"), ("tgkill", 2, 9, "SIGKILL"),
            (
                "personality", 0, 0xffff_ffff,
                "255|UNAME26|ADDR_NO_RANDOMIZE|FDPIC_FUNCPTRS|MMAP_PAGE_ZERO|"
                    + "ADDR_COMPAT_LAYOUT|READ_IMPLIES_EXEC|ADDR_LIMIT_32BIT|ADDR_LIMIT_3GB|0xf701ff00"
            ),
        ] as [(String, Int, UInt64, String)] {
            let call = try number(name)
            #expect(ArgumentClass.index(ofCall: call) == index)
            #expect(ArgumentClass.words(call: call, value: value) == words)
        }
    }

    @Test("bits that the kernel ignores and a filter compares are not hidden")
    func highBits() throws {
        let ioctl = try number("ioctl")
        #expect(ArgumentClass.words(call: ioctl, value: 0x1_0000_5412) == "TIOCSTI, with high bits set")
        #expect(ArgumentClass.words(call: try number("mmap"), value: 1 << 40 | 1) == "PROT_READ|0x10000000000")
    }

    @Test("every value of every call has an answer, or the call has none")
    func everything() {
        for number in UInt32(0)..<600 {
            let hasIndex = ArgumentClass.index(ofCall: number) != nil
            for value in [0, 1, 0xff, 0x7fff_ffff, 0xffff_ffff, UInt64.max] {
                #expect((ArgumentClass.words(call: number, value: value) != nil) == hasIndex)
            }
        }
        #expect(ArgumentClass.index(ofCall: .max) == nil)
    }
}
