/// A system call as a filter sees it (struct seccomp_data of linux/seccomp.h).
package struct SystemCall: Hashable, Sendable {
    package var number: UInt32
    package var architecture: UInt32
    package var instructionPointer: UInt64 = 0
    /// Up to six arguments; missing ones are 0.
    package var arguments: [UInt64]

    #if arch(x86_64)
        /// AUDIT_ARCH_X86_64 of linux/audit.h.
        package static let nativeArchitecture: UInt32 = 0xc000_003e
    #else
        /// AUDIT_ARCH_AARCH64 of linux/audit.h.
        package static let nativeArchitecture: UInt32 = 0xc000_00b7
    #endif

    #if arch(x86_64)
        package static let openat: UInt32 = 257
    #else
        package static let openat: UInt32 = 56
    #endif

    package init(_ number: UInt32, _ arguments: [UInt64] = [], architecture: UInt32 = nativeArchitecture) {
        self.number = number
        self.arguments = arguments
        self.architecture = architecture
    }

    /// The 32-bit words of struct seccomp_data, little-endian.
    func word(at index: UInt32) -> UInt32 {
        switch index {
        case 0: return number
        case 1: return architecture
        case 2: return UInt32(truncatingIfNeeded: instructionPointer)
        case 3: return UInt32(truncatingIfNeeded: instructionPointer >> 32)
        default:
            let position = Int(index - 4) / 2
            guard position < arguments.count else { return 0 }
            return UInt32(truncatingIfNeeded: arguments[position] >> (index.isMultiple(of: 2) ? 0 : 32))
        }
    }
}
