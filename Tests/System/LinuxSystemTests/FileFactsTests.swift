import Glibc
import LinuxSystem
import Polling
import Testing

@Suite("FileFacts")
struct FileFactsTests {
    /// A file of this test's own that is removed with it.
    private final class TemporaryFile {
        let path: String

        init(_ text: String) throws {
            var template = Array("/tmp/hearth-facts-XXXXXX".utf8CString)
            let descriptor = Descriptor(owning: mkstemp(&template))
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            try descriptor.writeAll(Array(text.utf8))
        }

        deinit { unlink(path) }

        func setModified(seconds: Int) {
            let times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
            utimensat(AT_FDCWD, path, times, 0)
        }

        /// Goes on once file times are taken from another tick of the kernel's clock than this file's was.
        func waitForAnotherTick() throws {
            let before = try FileFacts(path: path).changedNanoseconds
            let isAnother = try eventuallyBlocking {
                chmod(path, 0o600)
                return try FileFacts(path: path).changedNanoseconds != before
            }
            try #require(isAnother)
        }
    }

    @Test("they stay equal as long as nobody touches the file, whichever way it is looked at")
    func equal() throws {
        let file = try TemporaryFile("abc")
        let first = try FileFacts(path: file.path)
        #expect(first.kind == .regular)
        #expect(first.byteCount == 3)
        #expect(first.permissions == 0o600)
        #expect(first.owner == geteuid())
        #expect(try FileFacts(following: file.path) == first)
        let descriptor = try Descriptor.open(file.path, O_RDONLY)
        #expect(try FileFacts(of: descriptor, name: "it") == first)
    }

    @Test("a change is told even when the file got its old size and its old time back")
    func oldTime() throws {
        let file = try TemporaryFile("abc")
        file.setModified(seconds: 1_000_000_000)
        let first = try FileFacts(path: file.path)
        try file.waitForAnotherTick()
        let descriptor = try Descriptor.open(file.path, O_WRONLY)
        try descriptor.writeAll(Array("xyz".utf8))
        file.setModified(seconds: 1_000_000_000)
        let second = try FileFacts(path: file.path)
        #expect(second.modifiedNanoseconds == first.modifiedNanoseconds)
        #expect(second.byteCount == first.byteCount)
        #expect(second.isSameFile(as: first))
        #expect(second != first)
    }

    @Test("a link is told as one, or followed, as it is asked")
    func links() throws {
        let file = try TemporaryFile("abc")
        let link = file.path + "-link"
        symlink(file.path, link)
        defer { unlink(link) }
        #expect(try FileFacts(path: link).kind == .symbolicLink)
        #expect(try FileFacts(following: link) == FileFacts(path: file.path))
        #expect(throws: LinuxError.self) { try FileFacts(path: file.path + "-none") }
        #expect(try FileFacts(path: "/").kind == .folder)
        #expect(try FileFacts(path: "/dev/null").kind == .characterDevice)
    }

    @Test("it was quiet once its last change is so long ago, and one in the future once it was seen before")
    func quiet() throws {
        let file = try TemporaryFile("abc")
        let facts = try withExtendedLifetime(file) { try FileFacts(path: file.path) }
        let changed = facts.changedNanoseconds
        #expect(!facts.wasQuiet(forMilliseconds: 500, at: changed))
        #expect(!facts.wasQuiet(forMilliseconds: 500, at: changed + 499_999_999, before: facts))
        #expect(facts.wasQuiet(forMilliseconds: 500, at: changed + 500_000_000))
        #expect(facts.wasQuiet(forMilliseconds: 0, at: changed))
        // The clock was set back by an hour.
        let earlier = changed - 3_600_000_000_000
        #expect(!facts.wasQuiet(forMilliseconds: 500, at: earlier))
        #expect(facts.wasQuiet(forMilliseconds: 500, at: earlier, before: facts))
        #expect(!facts.wasQuiet(forMilliseconds: 500, at: earlier, before: try FileFacts(path: "/")))
    }
}
