import Foundation
import LaunchPlan
import LinuxSystem
import TestPlaces
import Testing

@testable import LaunchSequence

/// What the launcher opens for a bind: between the agent's look and the launch somebody may have planted a link.
@Suite("ReadOnlyBind")
struct ReadOnlyBindTests {
    /// With a folder that the owner named, and one beside it.
    private let folder = TemporaryFolder()
    private var named: String { folder.file("named") }

    init() throws {
        for name in ["named/inner", "other/inner"] {
            try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: true)
        }
    }

    private func facts(_ bind: ReadOnlyBind) throws(LinuxError) -> FileFacts {
        try FileFacts(of: bind.open(), name: bind.source)
    }

    private func code(_ bind: ReadOnlyBind) -> CInt? {
        #expect(throws: LinuxError.self) { try facts(bind) }?.code
    }

    @Test("it opens what the agent found")
    func found() throws {
        let whole = ReadOnlyBind(source: named, target: named)
        #expect(try facts(whole) == FileFacts(path: named))
        let part = ReadOnlyBind(source: "\(named)/inner", root: named, within: "inner", target: "/x")
        #expect(try facts(part) == FileFacts(path: "\(named)/inner"))
    }

    @Test("a link that was planted meanwhile is not followed out of what the owner named, nor on the way to it")
    func planted() throws {
        let part = ReadOnlyBind(source: "\(named)/inner", root: named, within: "inner", target: "/x")
        rmdir("\(named)/inner")
        for target in ["\(folder.path)/other", "../other"] {
            symlink(target, "\(named)/inner")
            // The control: whoever follows links gets there.
            #expect(try FileFacts(following: "\(named)/inner") == FileFacts(path: "\(folder.path)/other"))
            #expect(code(part) == EXDEV)
            unlink("\(named)/inner")
        }
        rmdir(named)
        symlink("other", named)
        #expect(try FileFacts(following: "\(named)/inner").kind == .folder)
        #expect(code(part) == ELOOP)
        #expect(code(ReadOnlyBind(source: named, target: named)) == ELOOP)
    }
}
