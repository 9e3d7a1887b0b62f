internal import CSeccomp
internal import Glibc

/// The names and numbers of system calls: those that libseccomp knows (seccomp_syscall_resolve_name(3)), and a few that
/// are newer than it.
package enum SyscallNames {
    /// The name of a call of this machine; nil for an unknown number.
    package static func name(of number: UInt32) -> String? {
        guard let number = CInt(exactly: number), number < 1024 else { return nil }
        return resolve(number) ?? NewerSyscalls.names[UInt32(number)]
    }

    /// The number on this machine; nil for a name that is not known, and for a call that this architecture lacks.
    package static func number(of name: String) -> UInt32? {
        guard let number = number(name) else { return NewerSyscalls.numbers[name] }
        return UInt32(exactly: number)
    }

    /// Whether the name is known on some architecture, or newer than libseccomp. A call that this machine's libseccomp
    /// lacks makes no rule.
    package static func isKnown(_ name: String) -> Bool { number(name) != nil || NewerSyscalls.isKnown(name) }

    /// libseccomp's number: nil for a name that it does not know, negative for a call of other architectures only.
    static func number(_ name: String) -> CInt? {
        let number = seccomp_syscall_resolve_name(name)
        // __NR_SCMP_ERROR
        return number == -1 ? nil : number
    }

    /// Every call of this machine by number, in order.
    package static let all: [(number: UInt32, name: String)] = (0..<1024).compactMap { number in
        name(of: number).map { (number, $0) }
    }

    /// ENOSYS, with which C libraries fall back to older calls.
    static let unknownCallErrno: UInt16 = 38
    /// __X32_SYSCALL_BIT of asm/unistd.h: calls of x86-64's other table.
    static let x32Bit: UInt32 = 0x4000_0000

    /// The highest number that libseccomp knows on this machine.
    static let numberMax = UInt32((0..<1024).last { resolve($0) != nil } ?? 0)

    private static func resolve(_ number: CInt) -> String? {
        guard let name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number) else { return nil }
        defer { free(name) }
        return String(cString: name)
    }

    #if arch(x86_64)
        /// The OCI name of the architecture that this program was built for.
        package static let nativeArchitecture = "SCMP_ARCH_X86_64"
        /// AUDIT_ARCH_X86_64 of linux/audit.h, as seccomp_data carries it.
        static let nativeAuditArchitecture: UInt32 = 0xc000_003e
    #elseif arch(arm64)
        package static let nativeArchitecture = "SCMP_ARCH_AARCH64"
        static let nativeAuditArchitecture: UInt32 = 0xc000_00b7
    #else
        #error("name this architecture as config-linux of the OCI runtime-spec and linux/audit.h do")
    #endif
}
