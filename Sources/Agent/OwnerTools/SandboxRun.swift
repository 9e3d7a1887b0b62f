internal import Dispatch
internal import Foundation
internal import Glibc
internal import Installation
package import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy
internal import SeccompFilter
package import Settings

/// Runs one program exactly as the agent would run a backend, but with this process's standard streams.
///
/// Descriptor 3 is a socket whose other end drops everything and never answers. The program and all processes that it
/// started end with this process.
package struct SandboxRun: Sendable {
    /// A path, or a name that is looked up in PATH.
    package var program: String
    package var arguments: [String] = []
    /// The name of an installed policy, or the path of a file.
    package var policy = "strict"
    package var policies: String?
    package var tier = SandboxTier.full
    /// Paths that the program may read, and map as code where the policy allows code from files.
    package var binds: [String] = []
    package var memoryMebibytes: UInt64 = 1024
    package var threads: UInt32 = 4
    /// The user to become when this process is root.
    package var user: String?

    package init(program: String) { self.program = program }

    /// The result of a run.
    package struct Outcome: Sendable {
        /// The program's own exit status, 128 and the signal's number, or one of `LauncherStatus`.
        package let status: CInt
        /// The kinds of calls that the filter denied.
        package let denied: [SupervisedCall]
    }

    /// Runs the program to its end. Throws when it cannot be started; the error names the remedy.
    package func run(executable hearth: String, path: String) throws(HostError) -> Outcome {
        try PrivilegeDrop.apply(user: user) { (_) throws(HostError) in }
        let folder = PolicyFolder(try InstalledParts.policies(asked: policies, executable: hearth))
        let sandbox = Sandbox(
            launcherPath: try InstalledParts.program("hearth-sandbox", executable: hearth),
            policiesDirectory: folder.path, tier: tier,
            host: .find(claimingControlGroups: false))
        let named = try NamedProgram(program, path: path)
        do throws(SandboxError) {
            let backend = try BackendExecutable.open(folder: named.folder, name: named.name)
            var manifest = BackendManifest(executableName: backend.name)
            manifest.readOnlyPaths = binds
            manifest.memoryMebibytes = memoryMebibytes
            manifest.threads = threads
            var owner = OwnerLimits(threads: threads)
            owner.memoryMebibytes = memoryMebibytes
            owner.readablePaths = binds
            var plan = try sandbox.plan(
                executable: backend, manifest: manifest, owner: owner, policy: try meant(by: policy, in: folder))
            plan.arguments += arguments
            let output = OutputStream(STDOUT_FILENO)
            let error = OutputStream(STDERR_FILENO)
            let launched = try sandbox.launch(
                executable: backend, plan: plan,
                streams: .given(input: STDIN_FILENO, output: output.raw, error: error.raw))
            let outcome = SandboxRun.follow(launched)
            output.finish()
            error.finish()
            return outcome
        } catch {
            throw HostError(error.description)
        }
    }

    private func meant(by word: String, in folder: PolicyFolder) throws(SandboxError) -> SeccompPolicy {
        do throws(SandboxPolicyError) {
            return try folder.policy(meant: word)
        } catch {
            throw SandboxError(.policyRefused, "\(error)")
        }
    }

    private static func follow(_ launched: SandboxedProcess) -> Outcome {
        let socket = launched.socket.raw
        // This thread is not waited for: it ends with the program's end of the socket, or with this process.
        Thread.detachNewThread { discard(socket) }
        var denied: [SupervisedCall] = []
        do {
            // The exit status says the rest.
            _ = try launched.hearToEnd { report in
                guard case .supervised(let call) = report else { return }
                if let index = denied.firstIndex(where: { $0.call == call.call }) {
                    denied[index] = call
                } else {
                    denied.append(call)
                }
            }
        } catch {
            launched.process.kill()
        }
        return Outcome(status: LauncherStatus.of(launched.process.waitForExit()), denied: denied)
    }

    private static func discard(_ socket: CInt) {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        while (try? Poll.wait(socket, for: .readable, nanoseconds: nil)) != nil {
            let count = read(socket, &bytes, bytes.count)
            if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return }
        }
    }
}

/// An output stream of this process for the program: a file is written through a pipe, because a backend's limit of
/// file sizes, 0, would end the program at its first line.
private struct OutputStream: ~Copyable {
    /// The descriptor for the program; borrowed.
    var raw: CInt { writer ?? standard }
    private let standard: CInt
    private var writer: CInt?
    private let copied = DispatchSemaphore(value: 0)

    init(_ standard: CInt) {
        self.standard = standard
        var status = stat()
        guard fstat(standard, &status) == 0, status.st_mode & S_IFMT == S_IFREG, let pipe = try? Descriptor.pipe()
        else {
            return
        }
        let (reader, writer) = pipe.take { ($0.release(), $1.release()) }
        self.writer = writer
        let copied = copied
        Thread.detachNewThread {
            let reader = Descriptor(owning: reader)
            var bytes = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                let count = read(reader.raw, &bytes, bytes.count)
                guard count > 0 || (count < 0 && errno == EINTR) else { break }
                if count > 0, (try? FileHandle(fileDescriptor: standard).write(contentsOf: bytes.prefix(count))) == nil
                {
                    break
                }
            }
            copied.signal()
        }
    }

    /// Returns once everything that the program wrote has been passed on; the program must have ended.
    consuming func finish() {
        guard let writer else { return }
        close(writer)
        copied.wait()
    }
}
