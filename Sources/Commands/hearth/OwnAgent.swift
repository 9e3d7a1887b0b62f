internal import Foundation
internal import Glibc
internal import Installation
internal import LinuxSystem

/// An agent for one command: it listens on a Unix socket in a temporary folder, and ends with this process, however that ends.
enum OwnAgent {
    private static let startSeconds: Int32 = 60
    /// The agent to end and the folder to remove when this process ends; written once, before anything could end it.
    nonisolated(unsafe) private static var running: (process: pid_t, pipe: CInt, folder: String)?

    /// Starts the agent, and returns its state folder once it answers. Throws why it could not start.
    static func start() throws -> String {
        let folder = try temporaryFolder()
        do {
            return try start(in: folder)
        } catch {
            // Once it runs, its folder is removed at the end of this process.
            if running == nil { try? FileManager.default.removeItem(atPath: folder) }
            throw error
        }
    }

    private static func start(in folder: String) throws -> String {
        let state = "\(folder)/state"
        let executable = try InstalledParts.ownExecutable()
        let said = try Descriptor.pipe()
        let life = try Descriptor.pipe()
        let input = try Descriptor.open("/dev/null", O_RDONLY)
        let log = try Descriptor.open("\(folder)/log", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, mode: 0o600)
        var arguments = [executable, "serve", "--state", state, "--listen", "unix:\(state)/host.sock"]
        // Its last line is shown when it cannot be started.
        arguments += ["--plaintext", "--grace", "0", "--until-closed", "4", "--log-format", "text"]
        // The manager of a service that runs this command is told nothing of its agent.
        let environment = ProcessInfo.processInfo.environment.filter { $0.key != ServiceManager.variable }
            .map { "\($0.key)=\($0.value)" }
        let process = try ProcessSpawn.spawn(
            executable, arguments: arguments, environment: environment,
            descriptors: [input.raw, said.second.raw, log.raw, input.raw, life.first.raw])
        running = (process, life.takeSecond().release(), folder)
        atexit { OwnAgent.end() }
        let line = firstLine(said.takeFirst())
        guard line.hasPrefix("hearth: accepting") else {
            let lines = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""
            let last = lines.split(separator: "\n").last.map { $0.replacing("hearth: ", with: "") } ?? "it said nothing"
            throw Refusal("the agent could not be started: \(last)")
        }
        return state
    }

    /// Ends the agent, and removes its folder.
    private static func end() {
        guard let (process, pipe, folder) = running else { return }
        running = nil
        close(pipe)
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// A folder that only this user can list; the agent, which may run as another user, has to pass through it.
    private static func temporaryFolder() throws -> String {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        var template = Array("\(base)/hearth-run.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LinuxError.last("make a folder in \(base)") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if SystemUser.currentIsRoot { chmod(folder, 0o711) }
        return folder
    }

    /// The first line that the agent prints; empty when it ends, or prints none for too long.
    private static func firstLine(_ pipe: borrowing Descriptor) -> String {
        var line: [UInt8] = []
        while line.last != UInt8(ascii: "\n"), line.count < 4_096 {
            var asked = pollfd(fd: pipe.raw, events: Int16(POLLIN), revents: 0)
            var byte: UInt8 = 0
            guard poll(&asked, 1, startSeconds * 1_000) == 1, read(pipe.raw, &byte, 1) == 1 else { break }
            line.append(byte)
        }
        return String(decoding: line, as: UTF8.self)
    }
}
