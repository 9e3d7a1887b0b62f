internal import Glibc

/// The facts of this machine that a policy may ask about in `includes` and `excludes`.
package struct PolicyHost: Equatable, Sendable {
    /// The name that Docker's profiles use, which is Go's.
    package var architecture: String
    package var kernel: KernelVersion

    package init(architecture: String, kernel: KernelVersion) {
        self.architecture = architecture
        self.kernel = kernel
    }

    /// The machine and the kernel that this process runs on.
    package static let running = PolicyHost(architecture: native, kernel: KernelVersion.running)

    #if arch(x86_64)
        private static let native = "amd64"
    #else
        private static let native = "arm64"
    #endif

    /// Every name that `arches` may hold: those of Docker's profiles, and x32, which they use beside them.
    static let architectures = [
        "x86", "amd64", "x32", "arm", "arm64", "mips", "mipsel", "mips64", "mips64n32", "mipsel64", "mips3l64n32",
        "mipsle", "ppc", "ppc64", "ppc64le", "riscv64", "s390", "s390x", "loong64",
    ]

    /// Every name that `caps` may hold (capabilities(7)). A backend has none of them.
    static let capabilities = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    ].map { "CAP_" + $0 }
}

/// The first two numbers of a kernel's release; the rest is the distribution's.
package struct KernelVersion: Comparable, Sendable {
    package let major: UInt64
    package let minor: UInt64

    package init(major: UInt64, minor: UInt64) {
        self.major = major
        self.minor = minor
    }

    /// Reads "6.1", and with `isRelease` a release of uname(2), such as "6.1.0-28-amd64" or "6.8-rc5".
    package init?(_ text: String, isRelease: Bool = false) {
        let parts = text.split(separator: ".", maxSplits: isRelease ? 2 : .max, omittingEmptySubsequences: false)
        guard parts.count == 2 || (isRelease && parts.count > 2), let major = UInt64(parts[0]) else { return nil }
        let digits = isRelease ? parts[1].prefix { $0.isASCII && $0.isNumber } : parts[1]
        guard let minor = UInt64(digits) else { return nil }
        self.init(major: major, minor: minor)
    }

    package static func < (left: KernelVersion, right: KernelVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    /// The version of the running kernel; 0.0 if its release cannot be read.
    static let running: KernelVersion = {
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return KernelVersion(release, isRelease: true) ?? KernelVersion(major: 0, minor: 0)
    }()
}
