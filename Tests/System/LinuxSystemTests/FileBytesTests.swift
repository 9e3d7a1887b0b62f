import Foundation
import LinuxSystem
import Synchronization
import TestPlaces
import Testing

struct FileBytesTests {
    private func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("A file is made, and then replaced, with the mode that was asked for and nothing beside it")
    func replace() throws {
        try inTemporaryFolder { folder in
            let path = folder + "/a"
            try FileBytes.replace(path, with: Array("one".utf8))
            #expect(try FileBytes.read(path, max: 100) == Array("one".utf8))
            #expect(try mode(path) == 0o600)
            let before = try FileFacts(path: path)
            try FileBytes.replace(path, with: Array("two".utf8), mode: 0o666)
            #expect(try FileBytes.read(path, max: 100) == Array("two".utf8))
            #expect(try mode(path) == 0o666)
            #expect(try FileFacts(path: path).inode != before.inode)
            #expect(try names(folder) == ["a"])
        }
    }

    @Test("A file that is being written has no name that could be left behind")
    func nameless() throws {
        try inTemporaryFolder { folder in
            let probe = open(folder, O_WRONLY | 0o20000000 | O_DIRECTORY, 0o600)
            guard probe >= 0 else { return print("skipped: this file system has no files without a name") }
            close(probe)
            let bytes = [UInt8](repeating: 1, count: 64 << 20)
            for overwriting in [true, false] {
                let path = folder + "/a"
                try? FileManager.default.removeItem(atPath: path)
                let isDone = Atomic(false)
                let failure = Mutex<LinuxError?>(nil)
                DispatchQueue.concurrentPerform(iterations: 2) { side in
                    if side == 0 {
                        do throws(LinuxError) {
                            try FileBytes.replace(path, with: bytes, overwriting: overwriting)
                        } catch {
                            failure.withLock { $0 = error }
                        }
                        isDone.store(true, ordering: .releasing)
                    }
                    while !isDone.load(ordering: .acquiring) {
                        // Its last name, or the one that it has for the moment of a rename.
                        for name in (try? names(folder)) ?? [] {
                            guard let facts = try? FileFacts(path: "\(folder)/\(name)") else { continue }
                            #expect(facts.byteCount == bytes.count)
                        }
                    }
                }
                if let error = failure.withLock({ $0 }) { throw error }
            }
        }
    }

    @Test("Whoever has the old file open goes on reading the old bytes")
    func readersKeepTheirs() throws {
        try inTemporaryFolder { folder in
            let path = folder + "/a"
            try FileBytes.replace(path, with: Array("one".utf8))
            let old = try Descriptor.open(path, O_RDONLY)
            try FileBytes.replace(path, with: Array("longer than that".utf8))
            #expect(try FileBytes.read(old, max: 100, name: "old") == Array("one".utf8))
        }
    }

    @Test("A file that must not be replaced stays, and so does everything where the new one cannot go")
    func refused() throws {
        try inTemporaryFolder { folder in
            let path = folder + "/a"
            try FileBytes.replace(path, with: Array("one".utf8), overwriting: false)
            let exists = #expect(throws: LinuxError.self) {
                try FileBytes.replace(path, with: Array("two".utf8), overwriting: false)
            }
            #expect(exists?.code == EEXIST)
            #expect(exists?.description.contains(path) == true)
            #expect(try FileBytes.read(path, max: 100) == Array("one".utf8))

            // A folder of that name: the bytes have been written when the name cannot be had.
            try FileManager.default.createDirectory(atPath: folder + "/b", withIntermediateDirectories: false)
            #expect(throws: LinuxError.self) { try FileBytes.replace(folder + "/b", with: Array("two".utf8)) }
            #expect(try names(folder) == ["a", "b"])

            #expect(throws: LinuxError.self) { try FileBytes.replace(folder + "/none/a", with: []) }
        }
    }

    @Test("A link's place is taken, and what it led to stays as it was")
    func links() throws {
        try inTemporaryFolder { folder in
            try FileBytes.replace(folder + "/target", with: Array("theirs".utf8))
            try FileManager.default.createSymbolicLink(atPath: folder + "/a", withDestinationPath: folder + "/target")
            try FileBytes.replace(folder + "/a", with: Array("ours".utf8))
            #expect(try FileBytes.read(folder + "/target", max: 100) == Array("theirs".utf8))
            #expect(try FileBytes.read(folder + "/a", max: 100) == Array("ours".utf8))
        }
    }
}
