internal import BackendDriver
internal import Glibc
package import LinuxSystem

/// A backend as a child process. It owns the process, which ends with it. One thread uses it.
package final class BackendProcess: DrivenProcess {
    /// The descriptor that the weights are in the process; its socket is 3.
    package static let weightsDescriptor: UInt32 = 4
    /// The descriptor of the first of its adapters; those of the others follow, and then its draft model's.
    package static let firstAdapterDescriptor: UInt32 = 5

    package let program: BackendProgram
    package var pid: CInt { handle.processID }
    /// How it ended; nil before `awaitEnd` has returned a status.
    package private(set) var status: ExitStatus?
    private let handle: ProcessHandle

    /// Starts a program with this end of a socket, which is borrowed for the call. Its input and output are /dev/null.
    package init(_ program: BackendProgram, socket: CInt) throws(LinuxError) {
        let null = try Descriptor.open("/dev/null", O_RDWR)
        var descriptors = [null.raw, null.raw, program.isQuiet ? null.raw : STDERR_FILENO, socket]
        let further = program.adapters.map(\.path) + (program.draft.map { [$0] } ?? [])
        let files = (program.weights.map { [$0] } ?? ["/dev/null"]) + further
        let opened = try files.map { path throws(LinuxError) in
            try OpenFile(path)
        }
        descriptors += opened.map { $0.descriptor.raw }
        let pid = try withExtendedLifetime(opened) { () throws(LinuxError) in try Self.spawn(program, descriptors) }
        handle = try ProcessHandle(child: pid)
        self.program = program
    }

    /// A file that is handed over; closed here with the last owner.
    private final class OpenFile {
        let descriptor: Descriptor
        init(_ path: String) throws(LinuxError) { descriptor = try Descriptor.open(path, O_RDONLY) }
    }

    deinit { kill() }

    package func kill() {
        guard status == nil else { return }
        handle.kill()
        status = handle.waitForExit()
    }

    /// A shell sets the limit that otherwise the sandbox sets.
    private static func spawn(_ program: BackendProgram, _ descriptors: [CInt]) throws(LinuxError) -> CInt {
        let limit = program.dataMebibytes.map { ["sh", "-c", "ulimit -d \($0 << 10) && exec \"$0\"", program.path] }
        return try ProcessSpawn.spawn(
            limit == nil ? program.path : "/bin/sh", arguments: limit ?? [program.path],
            environment: program.environment, descriptors: descriptors)
    }

    package func awaitEnd(milliseconds: UInt64) throws(LinuxError) -> ExitStatus? {
        let deadline = Monotonic.now().advanced(milliseconds: milliseconds)
        while status == nil {
            status = handle.reap()
            let rest = deadline.since(Monotonic.now())
            guard status == nil, rest > 0 else { break }
            _ = try Poll.wait(handle.raw, for: .readable, nanoseconds: rest)
        }
        return status
    }
}
