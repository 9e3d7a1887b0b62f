internal import Glibc
internal import LinuxSystem
package import ModelPull
internal import StrictJSON

/// Finds the credentials that a person has logged in with: in files, and by asking the helper that a file names.
package struct CredentialStore: Sendable {
    private let environment: [String: String]
    private static let bytesMax = 1 << 20

    package init(environment: [String: String]) { self.environment = environment }

    /// Those for a repository; nil: nobody has logged in. Blocks for as long as a helper takes.
    package func credentials(for image: ImageReference) throws(PullFailure) -> RegistryCredentials? {
        do throws(JSONError) {
            for path in CredentialsFile.paths(environment) {
                guard let bytes = try Self.read(path) else { continue }
                let file = try CredentialsFile(bytes, file: path)
                switch file.finding(host: image.host, repository: image.repository) {
                case .credentials(let found): return found
                case .helper(let name, let server):
                    if let found = try ask(name, server, named: path) { return found }
                case .nothing: break
                }
            }
            return nil
        } catch {
            throw PullFailure(.refused, "the credentials of \(image.host) cannot be read: \(error)")
        }
    }

    private static func read(_ path: String) throws(JSONError) -> [UInt8]? {
        do throws(LinuxError) {
            return try FileBytes.read(path, max: bytesMax)
        } catch {
            if [ENOENT, ENOTDIR].contains(error.code) { return nil }
            throw JSONError(file: path, "\(error)")
        }
    }

    /// Runs docker-credential-NAME get.
    private func ask(_ name: String, _ server: String, named file: String) throws(JSONError) -> RegistryCredentials? {
        guard name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]*/) != nil else {
            throw JSONError(file: file, "names the helper '\(name.prefix(64))', which is no name of a program")
        }
        let program = "docker-credential-\(name)"
        let folders = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        let paths: [String] = folders.map { "\($0)/\(program)" }
        guard let path = paths.first(where: { $0.hasPrefix("/") && access($0, X_OK) == 0 })
        else { throw JSONError(file: file, "names \(program), which is not in PATH") }
        do throws(LinuxError) {
            let asked = try Descriptor.pipe()
            let said = try Descriptor.pipe()
            let process = try ProcessSpawn.spawn(
                path, arguments: [program, "get"], environment: environment.map { "\($0.key)=\($0.value)" },
                descriptors: [asked.first.raw, said.second.raw, STDERR_FILENO])
            let input = asked.takeSecond()
            try? input.writeAll(Array(server.utf8))
            _ = consume input
            let output = said.takeFirst()
            let bytes = try FileBytes.read(output, max: Self.bytesMax, name: program)
            var status: CInt = 0
            while waitpid(process, &status, 0) < 0, errno == EINTR {}
            // It ends so where it has none, too.
            guard status == 0 else { return nil }
            return try Self.parsed(bytes, name)
        } catch {
            throw JSONError(file: file, "\(program) cannot be asked: \(error)")
        }
    }

    private static func parsed(_ bytes: [UInt8], _ name: String) throws(LinuxError) -> RegistryCredentials? {
        do throws(JSONError) {
            return try CredentialsFile.answer(bytes, helper: name)
        } catch {
            throw LinuxError(code: EBADMSG, operation: "\(error)")
        }
    }
}
