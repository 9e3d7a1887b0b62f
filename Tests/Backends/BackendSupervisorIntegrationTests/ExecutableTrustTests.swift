import BackendIPC
import EventLoop
import Foundation
import LaunchPlan
import LinuxSystem
import Polling
import SandboxLaunch
import SandboxPolicy
import TestPlaces
import Testing

@testable import BackendSupervisor

/// Only what its owner put into the folder is run, and exactly that.
@Suite("Executables that change", .timeLimit(.minutes(1)), .enabled(if: geteuid() != 0))
@IOLoop
struct ExecutableTrustTests {
    private func withBench(_ body: @IOLoop (Workbench) async throws -> Void) async throws {
        let bench = try Workbench(sandboxed: true) { $0.replaceGraceMilliseconds = 200 }
        try await bench.use(body)
    }

    /// What an opened executable's log says once it was launched and has ended.
    private func launch(_ executable: borrowing BackendExecutable) throws -> String {
        let sandbox = Sandbox(
            launcherPath: Built.path("hearth-sandbox"), policiesDirectory: Repository.policies, tier: .full,
            host: .find(claimingControlGroups: false))
        let manifest = BackendManifest(executableName: executable.name)
        let plan = try sandbox.plan(executable: executable, manifest: manifest, owner: OwnerLimits(threads: 1))
        let launched = try sandbox.launch(executable: executable, plan: plan)
        try launched.log.setNonblocking(false)
        let log = try FileHandle(fileDescriptor: launched.log.raw).readToEnd() ?? Data()
        _ = launched.process.waitForExit()
        return String(decoding: log, as: UTF8.self)
    }

    @Test(
        "what was hashed is what runs, whatever becomes of the file", arguments: ["replaced", "written to", "removed"])
    func swapped(how: String) async throws {
        try await withBench { bench in
            // Named without a way, it says so and ends.
            try bench.add("unruly", as: "honest")
            let path = "\(bench.folder)/honest"
            let executable = try BackendExecutable.open(folder: bench.folder, name: "honest")
            switch how {
            case "replaced": try bench.add("sandbox-probe", as: "honest")
            case "written to": try Data(repeating: 0, count: 4096).write(to: URL(fileURLWithPath: path), options: [])
            default: bench.remove("honest")
            }
            #expect(try launch(executable).hasPrefix("honest: name me unruly-WAY"))
            // The control: what is in the folder now is something else.
            let now = Result { () throws(SandboxError) in
                try BackendExecutable.open(folder: bench.folder, name: "honest").digest
            }
            #expect((try? now.get()) != executable.digest)
        }
    }

    @Test("the memory that runs can be changed by nobody, not even by the agent")
    func sealed() async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "honest")
            let executable = try BackendExecutable.open(folder: bench.folder, name: "honest")
            #expect(pwrite(executable.memory.raw, [0], 1, 0) == -1)
            #expect(errno == EPERM)
            #expect(ftruncate(executable.memory.raw, 0) == -1)
            // fcntl(2); Glibc's module lacks it.
            let addSeals: CInt = 1033
            #expect(fcntl(executable.memory.raw, addSeals, 0) == -1)
        }
    }

    @Test("one that is swapped while it runs is ended, and the new one is started anew")
    func swappedWhileRunning() async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-behave")
            let backend = try await bench.start()
            #expect(backend.version == "unruly/1")
            let old = [backend.pid] + descendants(of: backend.pid)
            try bench.add("echo", as: "unruly-behave")
            await bench.supervisor.rescan()
            await bench.until { backend.state == .ready && backend.version.hasPrefix("echo/") }
            #expect(try await eventually { !old.contains { isAlive($0) } })
            #expect(backend.restarts == 0, "a new executable is not a loss")
        }
    }

    @Test("one that can be changed by others from now on is ended, and told with its remedy")
    func openedUp() async throws {
        try await withBench { bench in
            try bench.add("unruly", as: "unruly-behave")
            let backend = try await bench.start()
            let held = [backend.pid] + descendants(of: backend.pid)
            chmod("\(bench.folder)/unruly-behave", 0o757)
            await bench.supervisor.rescan()
            #expect(bench.supervisor.backends.isEmpty)
            #expect(bench.supervisor.ignored.first?.reason.contains("chmod go-w") == true)
            #expect(try await eventually { !held.contains { isAlive($0) } })
        }
    }

    @Test("nothing is started from a folder below one that others may write to, and the remedy starts it")
    func openParent() async throws {
        try await withBench { bench in
            let outer = "\(bench.folder)/outer"
            let inner = "\(outer)/inner"
            try FileManager.default.createDirectory(
                atPath: inner, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
            try bench.add("unruly", as: "honest")
            rename("\(bench.folder)/honest", "\(inner)/honest")
            chmod(outer, 0o777)
            let error = #expect(throws: SandboxError.self) {
                _ = try BackendExecutable.open(folder: inner, name: "honest")
            }
            #expect(error?.code == .executableRefused)
            #expect(error?.description.contains("chmod go-w '\(outer)'") == true, "\(error?.description ?? "")")
            chmod(outer, 0o755)
            let executable = try BackendExecutable.open(folder: inner, name: "honest")
            #expect(try launch(executable).hasPrefix("honest: name me unruly-WAY"))
        }
    }
}
