import Foundation
import LinuxSystem
import TestPlaces
import Testing

@Suite("PlaceWithin")
struct PlaceWithinTests {
    private let folder = TemporaryFolder()
    private var root: String { "\(folder.path)/named" }

    init() throws {
        let files = FileManager.default
        for path in ["named/inner", "other"] {
            try files.createDirectory(atPath: "\(folder.path)/\(path)", withIntermediateDirectories: true)
        }
        for path in ["named/file", "named/inner/file", "other/secret"] {
            _ = files.createFile(atPath: "\(folder.path)/\(path)", contents: Data(path.utf8))
        }
    }

    private func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: "\(root)/\(name)", withDestinationPath: target)
    }

    private func text(_ within: String) throws(TrustError) -> String {
        let file = try PlaceWithin(root: root, within: within).open(.regular, O_RDONLY)
        return String(decoding: try file.read(max: 100), as: UTF8.self)
    }

    @Test("what lies in it is opened, and so is what a link leads to that stays in it")
    func within() throws {
        try link("near", to: "inner/file")
        try link("inner/up", to: "../file")
        try link("folder", to: "inner")
        #expect(try text("file") == "named/file")
        #expect(try text("near") == "named/inner/file")
        #expect(try text("inner/up") == "named/file")
        #expect(try text("folder/file") == "named/inner/file")
    }

    @Test("a link that leads out of it is not followed, wherever it was planted", arguments: ["", "/secret"])
    func ledOut(rest: String) throws {
        try link("absolute", to: "\(folder.path)/other" + (rest.isEmpty ? "/secret" : ""))
        try link("relative", to: "../other" + (rest.isEmpty ? "/secret" : ""))
        try link("inner/back", to: "../../named" + (rest.isEmpty ? "/file" : ""))
        let back = "inner/back" + (rest.isEmpty ? "" : "/file")
        for name in ["absolute\(rest)", "relative\(rest)", back, "../other/secret"] {
            // The control: the link leads to a file.
            #expect(FileManager.default.contents(atPath: "\(root)/\(name)") != nil)
            let error = #expect(throws: TrustError.self) { try text(name) }
            #expect(error?.description.contains("led out of \(root) by a symbolic link") == true, "\(name)")
        }
    }

    @Test("the place that the owner named may be reached by his own links, and not by a stranger's")
    func named() throws {
        let link = "\(folder.path)/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: root)
        #expect(try PlaceWithin(root: link, within: "file").open(.regular).path == "\(root)/file")
        #expect(try PlaceWithin(root: link, within: "").open(.folder).path == root)
        guard geteuid() == 0 else { return print("not tried, because only root can: a stranger's link") }
        lchown(link, 12_345, 12_345)
        for within in ["", "file"] {
            let place = PlaceWithin(root: link, within: within)
            let error = #expect(throws: TrustError.self) { _ = try place.open().facts }
            #expect(error?.description.contains("replaceable by user 12345") == true)
        }
    }
}
