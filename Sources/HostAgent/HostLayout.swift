internal import Foundation
package import LinuxSystem

/// Where the parts of an installed or a freshly built Hearth lie, seen from the running executable.
struct HostLayout: Sendable, Equatable {
    /// hearth-sandbox.
    let launcher: String
    let policies: String
    let backends: String
    let state: String

    /// Installed: PREFIX/bin/hearth, PREFIX/libexec/hearth/hearth-sandbox, PREFIX/share/hearth/policies and
    /// PREFIX/lib/hearth/backends. Built: all products in one folder, Policies/ in a folder above it.
    /// Throws where a part is missing, naming the flag that says where it is.
    init(_ configuration: HostConfiguration, executable: String, environment: [String: String]) throws(HostError) {
        let bin = URL(fileURLWithPath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
        let prefix = bin.deletingLastPathComponent()
        let candidates = [
            bin.appending(path: "hearth-sandbox"), prefix.appending(path: "libexec/hearth/hearth-sandbox"),
        ]
        guard let launcher = candidates.map(\.path).first(where: FileManager.default.isExecutableFile) else {
            throw HostError(
                "hearth-sandbox is missing: it belongs beside \(executable) or in \(candidates[1].path); install Hearth again"
            )
        }
        self.launcher = launcher
        policies = try HostLayout.policies(configuration, bin: bin, prefix: prefix)
        backends = try HostLayout.backends(configuration, prefix: prefix)
        state = HostLayout.state(configuration, environment: environment)
    }

    private static func policies(_ configuration: HostConfiguration, bin: URL, prefix: URL) throws(HostError) -> String
    {
        if let policies = configuration.policies { return policies }
        var candidates = [prefix.appending(path: "share/hearth/policies")]
        var above = bin
        for _ in 0..<4 {
            candidates.append(above.appending(path: "Policies"))
            above.deleteLastPathComponent()
        }
        let holdsStrict = { (url: URL) in
            FileManager.default.fileExists(atPath: url.appending(path: "strict.json").path)
        }
        guard let found = candidates.first(where: holdsStrict) else {
            throw HostError("the policies are not in \(candidates[0].path): say with --policies where strict.json lies")
        }
        return found.path
    }

    private static func backends(_ configuration: HostConfiguration, prefix: URL) throws(HostError) -> String {
        let path = configuration.backends ?? prefix.appending(path: "lib/hearth/backends").path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            throw HostError("the folder of backends, \(path), does not exist: make it, or name another with --backends")
        }
        return path
    }

    private static func state(_ configuration: HostConfiguration, environment: [String: String]) -> String {
        configuration.state ?? defaultState(environment: environment, isRoot: SystemUser.currentIsRoot)
    }

    /// /var/lib/hearth for a service, otherwise as the XDG base directory specification says.
    static func defaultState(environment: [String: String], isRoot: Bool) -> String {
        if isRoot { return "/var/lib/hearth" }
        if let base = environment["XDG_STATE_HOME"], base.hasPrefix("/") { return base + "/hearth" }
        return (environment["HOME"] ?? "/tmp") + "/.local/state/hearth"
    }
}

/// Where the owner's command line finds the agent.
package enum OwnerSocket {
    /// The Unix socket in a state folder; only its owner can open it.
    package static func address(state: String?, environment: [String: String]) throws(HostError) -> SocketAddress {
        let folder = state ?? HostLayout.defaultState(environment: environment, isRoot: SystemUser.currentIsRoot)
        do throws(SocketAddressError) {
            return try SocketAddress("unix:\(folder)/admin.sock")
        } catch {
            throw HostError(
                "--state \(folder): the path is too long for a Unix socket (107 bytes); choose a shorter one")
        }
    }
}
