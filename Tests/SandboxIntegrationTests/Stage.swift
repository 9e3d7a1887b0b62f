import Foundation

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
        let products = try Stage.products()
        try Stage.copy("\(products)/hearth-sandbox", to: "\(folder)/\(launcherName)")
        for name in ["sandbox-probe", "sandbox-driver"] {
            try Stage.copy("\(products)/\(name)", to: "\(folder)/\(name)")
        }
        for name in try files.contentsOfDirectory(atPath: "\(Stage.root)/Policies") {
            try Stage.copy("\(Stage.root)/Policies/\(name)", to: "\(folder)/Policies/\(name)")
        }
        try Data(Stage.permissivePolicy.utf8).write(to: URL(fileURLWithPath: "\(folder)/Policies/permissive.json"))
        try own(folder)
        for name in try files.subpathsOfDirectory(atPath: folder) { try own("\(folder)/\(name)") }
    }

    /// The bytes alone: FileManager would keep the owner, which an ordinary user may not.
    private static func copy(_ source: String, to target: String) throws {
        try Data(contentsOf: URL(fileURLWithPath: source), options: .mappedIfSafe)
            .write(to: URL(fileURLWithPath: target))
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

    var probe: String { "\(folder)/sandbox-probe" }

    /// A driver that is to be started. `within` is put before it, such as another namespace's entry.
    func driver(_ command: [String], asRoot: Bool = false, within: [String] = []) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let user = Stage.isRoot && !asRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []
        var words = command
        let options = ["--launcher", "\(folder)/\(launcherName)", "--policies", "\(folder)/Policies"]
        words.insert(contentsOf: options, at: command.first == "hold" ? 2 : 1)
        process.arguments = user + within + ["\(folder)/sandbox-driver"] + words
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardInput = FileHandle.nullDevice
        return process
    }

    /// Runs a driver to its end.
    func run(_ command: [String], asRoot: Bool = false, within: [String] = []) throws -> Outcome {
        let process = driver(command, asRoot: asRoot, within: within)
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(status: process.terminationStatus, output: String(decoding: output, as: UTF8.self))
    }

    /// The processes of this stage: launchers by their name, backends by `token` among their arguments.
    func processes(token: String) -> [Int32] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { Int32($0) }.filter { process in
            let name = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)
            if name == launcherName + "\n" { return !isZombie(process) }
            let words = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
            let text = String(decoding: words, as: UTF8.self)
            return text.contains(token) && !text.contains("sandbox-driver")
        }
    }

    /// One that has ended and only waits for its parent to look.
    private func isZombie(_ process: Int32) -> Bool {
        let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        return status?.contains(") Z ") ?? true
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// The folder of what the package builds, which is the test executable's.
    private static func products() throws -> String {
        let candidates = [CommandLine.arguments[0], (try? realpath("/proc/self/exe")) ?? ""]
            .map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
        for candidate in candidates + ["\(root)/.build/debug"]
        where FileManager.default.isExecutableFile(atPath: "\(candidate)/hearth-sandbox") { return candidate }
        throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: "hearth-sandbox; run swift build first"])
    }

    private static func realpath(_ path: String) throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: path)
    }
}
