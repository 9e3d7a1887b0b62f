import Foundation
import LinuxSystem
import TestPlaces
import Testing

@testable import BackendSupervisor

@Suite("DigestCache")
struct DigestCacheTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.path + "/digests" }

    private func digest(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

    /// A moment at which files of now have been quiet for long.
    private var later: Int64 { FileFacts.clockNanoseconds() + 60_000_000_000 }

    @Test("another agent with the same file knows what this one read, as long as no fact of the file changes")
    func kept() throws {
        let file = folder.write("w", "weights")
        let facts = try FileFacts(path: file)
        DigestCache(path: path).remember(digest(0xa7), of: facts, readFrom: later)
        #expect(DigestCache(path: path).digest(of: facts) == digest(0xa7))
        #expect(try FileFacts(path: path).permissions == 0o600)
        repeat { chmod(file, 0o600) } while try FileFacts(path: file) == facts
        chmod(file, 0o644)
        #expect(DigestCache(path: path).digest(of: try FileFacts(path: file)) == nil)
        #expect(DigestCache().digest(of: facts) == nil)
    }

    @Test("the digest of a file that had just changed is not remembered: it may change again with the same time")
    func racy() throws {
        let facts = try FileFacts(path: folder.write("w", "weights"))
        let cache = DigestCache(path: path)
        cache.remember(digest(1), of: facts, readFrom: facts.changedNanoseconds + 2_499_999_999)
        #expect(cache.digest(of: facts) == nil)
        cache.remember(digest(1), of: facts, readFrom: facts.changedNanoseconds + 2_500_000_000)
        #expect(cache.digest(of: facts) == digest(1))
    }

    @Test("a file that is damaged, or that others could write, is as if there were none, and is written anew")
    func damaged() throws {
        let facts = try FileFacts(path: folder.write("w", "weights"))
        DigestCache(path: path).remember(digest(1), of: facts, readFrom: later)
        let whole = try String(contentsOfFile: path, encoding: .utf8)
        for text in [
            "", "\0\u{7f}", "hearth digests 2\n", String(whole.dropLast()), String(whole.dropLast(3)), whole + "x\n",
            whole.replacingOccurrences(of: "01", with: "zz"), whole + whole,
        ] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            #expect(DigestCache(path: path).digest(of: facts) == nil, "\(text)")
        }
        try Data(whole.utf8).write(to: URL(fileURLWithPath: path))
        #expect(DigestCache(path: path).digest(of: facts) == digest(1))
        chmod(path, 0o666)
        #expect(DigestCache(path: path).digest(of: facts) == nil)
        let again = DigestCache(path: path)
        again.remember(digest(2), of: facts, readFrom: later)
        #expect(DigestCache(path: path).digest(of: facts) == digest(2))
        #expect(try FileFacts(path: path).permissions == 0o600)
    }

    @Test("where it cannot be written the digests are known to this agent all the same")
    func unwritable() throws {
        let facts = try FileFacts(path: folder.write("w", "weights"))
        let cache = DigestCache(path: folder.path + "/none/digests")
        cache.remember(digest(1), of: facts, readFrom: later)
        #expect(cache.digest(of: facts) == digest(1))
    }

    @Test("it holds no more than its limit, the latest")
    func bounded() throws {
        let cache = DigestCache(path: path)
        var all: [FileFacts] = []
        for number in 0...DigestCache.entriesMax {
            all.append(try FileFacts(path: folder.write("w\(number)", "weights")))
            cache.remember(digest(1), of: all[number], readFrom: later)
        }
        #expect(cache.digest(of: all[0]) == nil)
        #expect(all.dropFirst().allSatisfy { cache.digest(of: $0) != nil })
        #expect(DigestCache(path: path).digest(of: all[DigestCache.entriesMax]) == digest(1))
    }
}
