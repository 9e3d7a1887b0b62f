import Foundation
import LinuxSystem
import TestPlaces
import Testing

@Suite("PathTrust")
struct PathTrustTests {
    private let folder = TemporaryFolder()

    /// Of the way alone.
    private func doubt(_ path: String) -> String? { PathTrust.doubt(about: path, .trustedWay) }

    private func make(_ path: String, mode: mode_t = 0o755) throws -> String {
        let full = "\(folder.path)/\(path)"
        try FileManager.default.createDirectory(atPath: full, withIntermediateDirectories: true)
        chmod(full, mode)
        return full
    }

    @Test("a folder below sticky and closed ones is trusted")
    func trusted() throws {
        let inner = try make("a/b")
        #expect(doubt(inner) == nil)
        #expect(doubt("/") == nil)
        #expect(doubt("/tmp") == nil)
        #expect(doubt("\(inner)/../b/./") == nil)
        // What stands at the end is not its business.
        chmod(inner, 0o777)
        #expect(doubt(inner) == nil)
    }

    @Test("an open folder on the way is doubted with its remedy, however far up and whoever it is open to")
    func openFolder() throws {
        let inner = try make("a/b/c/d")
        let open = "\(folder.path)/a/b"
        for mode in [0o757, 0o777] as [mode_t] {
            chmod(open, mode)
            #expect(doubt(inner)?.contains("run: chmod go-w '\(open)'") == true)
        }
        chmod(open, 0o1777)
        #expect(doubt(inner) == nil, "others cannot rename what is ours")
        chmod(open, 0o755)
        #expect(doubt(inner) == nil)
    }

    @Test("where a link leads through is looked at as well, and so is where it stands")
    func links() throws {
        let inner = try make("real/inner")
        _ = try make("links")
        let link = "\(folder.path)/links/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../real")
        #expect(doubt("\(link)/inner") == nil)
        chmod("\(folder.path)/links", 0o777)
        #expect(doubt("\(link)/inner")?.contains("'\(folder.path)/links'") == true)
        #expect(doubt(inner) == nil)
        chmod("\(folder.path)/links", 0o755)
        chmod("\(folder.path)/real", 0o777)
        #expect(doubt("\(link)/inner")?.contains("'\(folder.path)/real'") == true)
        chmod("\(folder.path)/real", 0o755)
        unlink(link)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "\(folder.path)/real")
        #expect(doubt("\(link)/inner") == nil)
    }

    @Test("links that lead in a circle come to an end")
    func circle() throws {
        let link = "\(folder.path)/circle"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "circle/on")
        #expect(doubt(link) == nil, "who opens it is told")
    }

    @Test("what belongs to somebody else is doubted", .enabled(if: geteuid() == 0, "only root can give a folder away"))
    func foreign() throws {
        let inner = try make("a/b")
        chown("\(folder.path)/a", 12_345, 12_345)
        #expect(doubt(inner)?.contains("user 12345") == true)
        chown("\(folder.path)/a", 0, 0)
        #expect(doubt(inner) == nil)
        let link = "\(folder.path)/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: inner)
        lchown(link, 12_345, 12_345)
        _ = try make("a/b/x")
        #expect(doubt("\(link)/x")?.contains("user 12345") == true)
    }

    @Test("a group may write where nobody but the user and root is in it", .enabled(if: geteuid() == 0, "needs groups"))
    func groups() throws {
        let inner = try make("a/b")
        chmod("\(folder.path)/a", 0o775)
        #expect(doubt(inner) == nil, "root's own group")
        chown("\(folder.path)/a", 0, 12_345)
        #expect(doubt(inner)?.contains("chmod go-w") == true)
    }

    /// Why each set of demands does not trust a file or a folder.
    private func refused(by demands: KeyValuePairs<String, PathTrust.Demands>, _ path: String) -> [String] {
        demands.compactMap { PathTrust.doubt(about: path, $0.value) == nil ? nil : $0.key }
    }

    private let files: KeyValuePairs<String, PathTrust.Demands> = [
        "executable": .backendExecutable, "manifest": .backendManifest, "policy": .policy, "launcher": .launcher,
        "weights": .weights, "readable": .readable, "state": .state,
    ]

    @Test("what each of those who rely on a file demands of its mode")
    func modes() throws {
        _ = try make("a")
        let file = "\(folder.path)/a/file"
        _ = FileManager.default.createFile(atPath: file, contents: Data("x".utf8))
        for (mode, expected) in [
            (0o755, []), (0o700, []), (0o644, ["executable", "launcher"]),
            (0o757, ["executable", "manifest", "policy", "launcher", "weights", "state"]),
            (0o4755, ["executable", "launcher"]), (0o2755, ["executable", "launcher"]),
        ] as [(mode_t, [String])] {
            chmod(file, mode)
            #expect(refused(by: files, file) == expected, "mode \(String(mode, radix: 8))")
        }
        chmod(file, 0o666)
        let reason = PathTrust.doubt(about: file, .backendManifest)
        #expect(
            reason == "\(file) is writable by others than its owner; forbid that with: chmod go-w '\(file)'")
        #expect(PathTrust.doubt(about: file, .weights)?.hasSuffix("chmod o-w '\(file)'") == true)
        #expect(refused(by: files, try make("a/inner")) == files.map(\.key).filter { $0 != "readable" })
        #expect(PathTrust.doubt(about: try make("a/inner"), .backendsFolder) == nil)
        chmod("\(folder.path)/a/inner", 0o1777)
        #expect(PathTrust.doubt(about: "\(folder.path)/a/inner", .backendsFolder)?.contains("chmod go-w") == true)
    }

    @Test("what each of those who rely on a file demands of its owner", .enabled(if: geteuid() == 0, "needs root"))
    func owners() throws {
        _ = try make("a")
        let file = "\(folder.path)/a/file"
        _ = FileManager.default.createFile(
            atPath: file, contents: Data("x".utf8), attributes: [.posixPermissions: 0o755])
        #expect(refused(by: files, file) == [])
        chown(file, 12_345, 12_345)
        #expect(refused(by: files, file) == ["executable", "manifest", "policy", "launcher", "state"])
        chown(file, 0, 12_345)
        chmod(file, 0o775)
        #expect(refused(by: files, file) == ["executable", "manifest", "policy", "launcher", "state"])
        chown(file, 0, 0)
        #expect(refused(by: files, file) == [], "nobody else is in root's own group")
    }

    @Test("a link is followed by those who do not demand the file itself, if it is not a stranger's")
    func linksAtTheEnd() throws {
        _ = try make("a")
        let file = "\(folder.path)/a/file"
        _ = FileManager.default.createFile(
            atPath: file, contents: Data("x".utf8), attributes: [.posixPermissions: 0o755])
        let link = "\(folder.path)/a/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "file")
        #expect(refused(by: files, link) == ["executable", "manifest", "state"])
        #expect(PathTrust.doubt(about: link, .backendExecutable)?.contains("a symbolic link") == true)
        #expect(try PathTrust.open(link, .launcher).path == file)
        guard geteuid() == 0 else { return print("not tried, because only root can: a stranger's link") }
        lchown(link, 12_345, 12_345)
        #expect(refused(by: files, link) == ["executable", "manifest", "policy", "launcher", "readable", "state"])
    }

    @Test("what is opened is what was checked, by its bytes and facts")
    func opened() throws {
        _ = try make("a")
        let file = "\(folder.path)/a/file"
        _ = FileManager.default.createFile(
            atPath: file, contents: Data("text".utf8), attributes: [.posixPermissions: 0o644])
        let trusted = try PathTrust.open("\(folder.path)/./a/../a/file", .policy, O_RDONLY)
        #expect(trusted.path == file)
        #expect(try trusted.read(max: 4) == Array("text".utf8))
        #expect(trusted.facts == (try FileFacts(path: file)))
        #expect(try PathTrust.open("/", .folder).path == "/")
        let absent = #expect(throws: TrustError.self) {
            _ = try PathTrust.open("\(folder.path)/none", .policy).facts
        }
        #expect(absent?.isAbsence == true)
        #expect(absent?.description == "open \(folder.path)/none: No such file or directory")
        let through = #expect(throws: TrustError.self) { _ = try PathTrust.open("\(file)/x", .policy).facts }
        #expect(through?.isAbsence == true)
    }
}
