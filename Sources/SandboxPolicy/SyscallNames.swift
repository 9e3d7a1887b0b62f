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
    static let all: [String] = (0..<1024).compactMap { number in
        guard let name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), CInt(number)) else { return nil }
        defer { free(name) }
        return String(cString: name)
    }

    /// The OCI name of the architecture that this program was built for.
    static var nativeArchitecture: String {
        #if arch(x86_64)
            "SCMP_ARCH_X86_64"
        #elseif arch(arm64)
            "SCMP_ARCH_AARCH64"
        #else
            #error("name this architecture as config-linux of the OCI runtime-spec does")
        #endif
    }
}
