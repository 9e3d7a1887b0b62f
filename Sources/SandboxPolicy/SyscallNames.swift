internal import CSeccomp
internal import Glibc

/// The system calls that libseccomp knows (seccomp_syscall_resolve_name(3)).
enum SyscallNames {
    /// Known on some architecture; calls that this machine lacks are known too, and make no rule.
    static func isKnown(_ name: String) -> Bool { number(name) != nil }

    /// Negative for a call of other architectures only.
    static func number(_ name: String) -> CInt? {
        let number = seccomp_syscall_resolve_name(name)
        // __NR_SCMP_ERROR
        return number == -1 ? nil : number
    }

    /// Every call of this machine by name, for hints.
    static let all: [String] = (0..<1024).compactMap(name)

    /// The highest number that libseccomp knows on this machine.
    static let numberMax = UInt32((0..<1024).last { name($0) != nil } ?? 0)

    private static func name(_ number: CInt) -> String? {
        guard let name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number) else { return nil }
        defer { free(name) }
        return String(cString: name)
    }

    #if arch(x86_64)
        /// The OCI name of the architecture that this program was built for.
        static let nativeArchitecture = "SCMP_ARCH_X86_64"
        /// AUDIT_ARCH_X86_64 of linux/audit.h, as seccomp_data carries it.
        static let nativeAuditArchitecture: UInt32 = 0xc000_003e
    #elseif arch(arm64)
        static let nativeArchitecture = "SCMP_ARCH_AARCH64"
        static let nativeAuditArchitecture: UInt32 = 0xc000_00b7
    #else
        #error("name this architecture as config-linux of the OCI runtime-spec and linux/audit.h do")
    #endif
}
