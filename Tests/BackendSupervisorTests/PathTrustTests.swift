import Foundation
import Testing

@testable import BackendSupervisor

@Suite("PathTrust")
struct PathTrustTests {
    private let folder = TemporaryFolder()

    private func make(_ path: String, mode: mode_t = 0o755) throws -> String {
        let full = "\(folder.path)/\(path)"
        try FileManager.default.createDirectory(atPath: full, withIntermediateDirectories: true)
        chmod(full, mode)
        return full
    }

    @Test("a folder below sticky and closed ones is trusted")
    func trusted() throws {
        let inner = try make("a/b")
        #expect(PathTrust.doubt(about: inner) == nil)
        #expect(PathTrust.doubt(about: "/") == nil)
        #expect(PathTrust.doubt(about: "/tmp") == nil)
        #expect(PathTrust.doubt(about: "\(inner)/../b/./") == nil)
        // What stands at the end is not its business.
        chmod(inner, 0o777)
        #expect(PathTrust.doubt(about: inner) == nil)
    }

    @Test("an open folder on the way is doubted with its remedy, however far up and whoever it is open to")
    func openFolder() throws {
        let inner = try make("a/b/c/d")
        let open = "\(folder.path)/a/b"
        for mode in [0o757, 0o777] as [mode_t] {
            chmod(open, mode)
            #expect(PathTrust.doubt(about: inner)?.contains("run: chmod go-w '\(open)'") == true)
        }
        chmod(open, 0o1777)
        #expect(PathTrust.doubt(about: inner) == nil, "others cannot rename what is ours")
        chmod(open, 0o755)
        #expect(PathTrust.doubt(about: inner) == nil)
    }

    @Test("where a link leads through is looked at as well, and so is where it stands")
    func links() throws {
        let inner = try make("real/inner")
        _ = try make("links")
        let link = "\(folder.path)/links/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../real")
        #expect(PathTrust.doubt(about: "\(link)/inner") == nil)
        chmod("\(folder.path)/links", 0o777)
        #expect(PathTrust.doubt(about: "\(link)/inner")?.contains("'\(folder.path)/links'") == true)
        #expect(PathTrust.doubt(about: inner) == nil)
        chmod("\(folder.path)/links", 0o755)
        chmod("\(folder.path)/real", 0o777)
        #expect(PathTrust.doubt(about: "\(link)/inner")?.contains("'\(folder.path)/real'") == true)
        chmod("\(folder.path)/real", 0o755)
        unlink(link)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "\(folder.path)/real")
        #expect(PathTrust.doubt(about: "\(link)/inner") == nil)
    }

    @Test("links that lead in a circle come to an end")
    func circle() throws {
        let link = "\(folder.path)/circle"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "circle/on")
        #expect(PathTrust.doubt(about: link) == nil, "who opens it is told")
    }

    @Test("what belongs to somebody else is doubted", .enabled(if: geteuid() == 0, "only root can give a folder away"))
    func foreign() throws {
        let inner = try make("a/b")
        chown("\(folder.path)/a", 12_345, 12_345)
        #expect(PathTrust.doubt(about: inner)?.contains("user 12345") == true)
        chown("\(folder.path)/a", 0, 0)
        #expect(PathTrust.doubt(about: inner) == nil)
        let link = "\(folder.path)/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: inner)
        lchown(link, 12_345, 12_345)
        _ = try make("a/b/x")
        #expect(PathTrust.doubt(about: "\(link)/x")?.contains("user 12345") == true)
    }

    @Test("a group may write where nobody but the user and root is in it", .enabled(if: geteuid() == 0, "needs groups"))
    func groups() throws {
        let inner = try make("a/b")
        chmod("\(folder.path)/a", 0o775)
        #expect(PathTrust.doubt(about: inner) == nil, "root's own group")
        chown("\(folder.path)/a", 0, 12_345)
        #expect(PathTrust.doubt(about: inner)?.contains("chmod go-w") == true)
    }

    @Test("the folder of backends, a folder above it, and a foreign executable are refused when they are looked at")
    func scanned() throws {
        var limits = SupervisorConfiguration.Limits()
        limits.settledMilliseconds = 0
        let inner = try make("a/backends")
        _ = FileManager.default.createFile(
            atPath: "\(inner)/x", contents: Data(), attributes: [.posixPermissions: 0o755])
        let found = try BackendFolder.scan(inner, limits: limits)
        #expect(found.candidates.map(\.name) == ["x"])
        chmod("\(folder.path)/a", 0o777)
        let error = #expect(throws: SupervisorError.self) { try BackendFolder.scan(inner, limits: limits) }
        #expect(error.map { "\($0)" }?.contains("chmod go-w '\(folder.path)/a'") == true)
        chmod("\(folder.path)/a", 0o755)
        guard geteuid() == 0 else { return print("not tried, because only root can: a foreign executable") }
        chown("\(inner)/x", 12_345, 12_345)
        let foreign = try BackendFolder.scan(inner, limits: limits)
        #expect(foreign.candidates.isEmpty)
        #expect(foreign.ignored.first?.reason.contains("owned by user 12345") == true)
        #expect(throws: SandboxLaunchError.self) { try BackendExecutable.open(folder: inner, name: "x").digest }
    }
}
