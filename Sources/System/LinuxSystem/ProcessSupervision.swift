internal import CLinux
internal import Glibc

/// The supervisor's notification descriptor of a filter (seccomp_unotify(2)), on which calls wait for an answer. Owns
/// the descriptor; once it is closed, every such call fails with ENOSYS.
package struct SeccompListener: ~Copyable {
    private let descriptor: Descriptor

    /// For poll(2); readable while a call waits. Borrowed.
    package var raw: CInt { descriptor.raw }

    package init(owning raw: CInt) { descriptor = Descriptor(owning: raw) }

    /// A call that waits.
    package struct Waiting {
        fileprivate let identifier: UInt64
        fileprivate let thread: pid_t
        package let number: UInt32
        package let architecture: UInt32
        package let instructionPointer: UInt64
        /// The six arguments.
        package let arguments: [UInt64]
    }

    /// The next waiting call; nil when its process is gone. Does not block when `raw` was readable.
    package func receive() throws(LinuxError) -> Waiting? {
        var call = hearth_supervised_call()
        guard try checked("receive a supervised call", { hearth_receive_supervised_call(raw, &call) }) == 1 else {
            return nil
        }
        let (a, b, c, d, e, f) = call.arguments
        return Waiting(
            identifier: call.identifier, thread: call.thread, number: call.number, architecture: call.architecture,
            instructionPointer: call.instruction_pointer, arguments: [a, b, c, d, e, f])
    }

    /// Lets the call fail with this errno; 0 lets it pass.
    package func answer(_ call: Waiting, errno: CInt) throws(LinuxError) {
        try checked("answer a supervised call") { hearth_answer_supervised_call(raw, call.identifier, errno) }
    }

    /// Up to `count` bytes of the calling process's memory. The process may change them at any time, so no permission
    /// may depend on them. Empty when nothing can be read.
    package func peek(_ call: Waiting, at address: UInt64, count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = max(0, hearth_peek(call.thread, address, buffer.baseAddress, count))
        }
    }

    /// Answers a call that opens something with a copy of this descriptor as its result.
    package func answer(_ call: Waiting, opening opened: borrowing Descriptor) throws(LinuxError) {
        try checked("answer a supervised open") { hearth_answer_supervised_open(raw, call.identifier, opened.raw) }
    }
}

/// A child that shares the table of descriptors with its parent (clone(2), CLONE_FILES), so that a descriptor opened by
/// one is open in the other.
package enum SharedDescriptors {
    /// 0 in the child, the child's number in the parent. The table is shared until `unshare` or an exec.
    package static func fork() throws(LinuxError) -> CInt {
        try checked("fork with shared descriptors") { hearth_fork_sharing_descriptors() }
    }

    /// Gives this process a table of its own, a copy of the shared one.
    package static func unshare() throws(LinuxError) {
        try checked("take a table of descriptors of one's own") { hearth_unshare_descriptors() }
    }

    /// The number that the next descriptor of this process gets.
    package static func nextNumber() throws(LinuxError) -> CInt {
        let raw = try checked("find a free descriptor") { fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0) }
        close(raw)
        return raw
    }

    /// From here on short waits of this thread end on time, not up to 50 microseconds late (prctl(2),
    /// PR_SET_TIMERSLACK).
    package static func setPunctualWaits() throws(LinuxError) {
        try checked("set the timer slack") { hearth_set_timer_slack(1) }
    }

    package static func isOpen(_ number: CInt) -> Bool { fcntl(number, F_GETFD) >= 0 }

    /// Makes every descriptor from this number on close-on-exec.
    package static func setCloseOnExec(from first: CInt) throws(LinuxError) {
        try checked("set close-on-exec from \(first)") { hearth_set_close_on_exec_from(UInt32(first)) }
    }
}

/// Kinds of CPU speculation that a process may turn off for itself (kernel: userspace-api/spec_ctrl).
package enum SpeculationControls {
    /// How many of them this kernel and this processor let a process turn off.
    package static var count: Int { Int(hearth_speculation_controls()) }

    /// Turns off all that can be turned off, for this process and all that it forks and executes.
    package static func forbid() throws(LinuxError) {
        try checked("forbid speculation") { hearth_forbid_speculation() }
    }
}
