import Foundation
import LinuxSystem
import TestPlaces

/// A folder with everything that a launch needs, owned by an ordinary user, and the running of the driver as that user.
///
/// The launcher refuses root. Where the tests run as root they start the driver as "nobody" through setpriv(1);
/// elsewhere as the user that they are.
final class Stage: Sendable {
    let folder: String
    /// The launcher's file name, unlike any other process's.
    let launcherName: String
    static let isRoot = geteuid() == 0
    private static let nobody: NSNumber = 65534

    struct Outcome {
        let status: Int32
        let output: String

        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    init() throws {
        let unique = UUID().uuidString.prefix(8).lowercased()
        folder = "/tmp/hearth-sandbox-test-\(unique)"
        launcherName = "hs-\(unique)"
        let files = FileManager.default
        for name in ["writable", "Policies"] {
            try files.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        try Stage.copy(Built.path("hearth-sandbox"), to: "\(folder)/\(launcherName)")
        for name in ["sandbox-probe", "sandbox-driver", "sandbox-ablation", "refuse-calls"] {
            try Stage.copy(Built.path(name), to: "\(folder)/\(name)")
        }
        for name in try files.contentsOfDirectory(atPath: Repository.policies) {
            try Stage.copy("\(Repository.policies)/\(name)", to: "\(folder)/Policies/\(name)")
        }
        try Data(Stage.permissivePolicy.utf8).write(to: URL(fileURLWithPath: "\(folder)/Policies/permissive.json"))
        try own(folder)
        for name in try files.subpathsOfDirectory(atPath: folder) { try own("\(folder)/\(name)") }
    }

    /// Adds what `hearth doctor` needs, under the names that it looks for.
    func addHearth() throws {
        for name in ["hearth", "hearth-sandbox"] {
            try Stage.copy(Built.path(name), to: "\(folder)/\(name)")
            try own("\(folder)/\(name)")
        }
    }

    /// In a process of its own: a child that another test forks meanwhile would for a moment hold an executable open for
    /// writing, and the kernel starts none that is (execve(2), ETXTBSY). The bytes alone, not the owner.
    private static func copy(_ source: String, to target: String) throws {
        let program = try RunningProgram(["cp", "--no-preserve=all", source, target], in: "/")
        let output = try program.readToEnd()
        guard program.waitForExit() == 0 else { throw LinuxError(code: EIO, operation: output) }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Gives a path to the driver's user, writable by nobody else.
    func own(_ path: String) throws {
        var attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o755]
        if Stage.isRoot {
            attributes[.ownerAccountID] = Stage.nobody
            attributes[.groupOwnerAccountID] = Stage.nobody
        }
        try FileManager.default.setAttributes(attributes, ofItemAtPath: path)
    }

    /// Copies an executable into the folder, as the driver's user's; returns its path.
    func add(_ executable: String, as name: String) throws -> String {
        try Stage.copy(executable, to: "\(folder)/\(name)")
        try own("\(folder)/\(name)")
        return "\(folder)/\(name)"
    }

    var probe: String { "\(folder)/sandbox-probe" }

    /// Starts a driver. `within` is put before it, such as another namespace's entry.
    func driver(_ command: [String], asRoot: Bool = false, within: [String] = []) throws -> RunningProgram {
        var words = command
        let options = [
            "--launcher", "\(folder)/\(launcherName)", "--ablation", "\(folder)/sandbox-ablation", "--policies",
            "\(folder)/Policies",
        ]
        words.insert(contentsOf: options, at: command.first == "hold" ? 2 : 1)
        return try program(
            "sandbox-driver", words, asRoot: asRoot, within: within, hasInput: command.first == "keep")
    }

    /// Starts one of the stage's programs as the ordinary user.
    func program(
        _ name: String, _ words: [String], asRoot: Bool = false, within: [String] = [], hasInput: Bool = false
    ) throws -> RunningProgram {
        let user = Stage.isRoot && !asRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []
        return try RunningProgram(
            user + within + ["\(folder)/\(name)"] + words, in: folder, hasInput: hasInput)
    }

    /// Runs a driver to its end.
    func run(_ command: [String], asRoot: Bool = false, within: [String] = []) throws -> Outcome {
        let driver = try driver(command, asRoot: asRoot, within: within)
        let output = try driver.readToEnd()
        return Outcome(status: driver.waitForExit(), output: output)
    }

    /// The processes of this stage: launchers by their name, and whoever has `token` among its arguments, but for the
    /// program that was started with it. A child of that program has its arguments until it becomes a launcher.
    func processes(token: String, besides program: RunningProgram? = nil) -> [Int32] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { Int32($0) }.filter { process in
            guard process != program?.processID else { return false }
            let name = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)
            if name == launcherName + "\n" { return !isZombie(process) }
            return words(of: process).contains { $0.contains(token) }
        }
    }

    /// The arguments of a process.
    func words(of process: Int32) -> [String] {
        let bytes = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    func parent(of process: Int32) -> Int32? {
        let stat = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
        return stat.split(separator: ")").last?.split(separator: " ").dropFirst().first.flatMap { Int32($0) }
    }

    /// One that has ended and only waits for its parent to look.
    private func isZombie(_ process: Int32) -> Bool {
        let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        return status?.contains(") Z ") ?? true
    }
}
