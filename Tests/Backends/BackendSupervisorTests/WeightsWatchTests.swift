import Foundation
import LinuxSystem
import Polling
import TestPlaces
import Testing

@testable import BackendSupervisor

@Suite("WeightsWatch")
struct WeightsWatchTests {
    private let folder = TemporaryFolder()
    private let digest = [UInt8](repeating: 1, count: 32)
    private let other = [UInt8](repeating: 2, count: 32)
    private let path: String
    private let loaded: FileFacts
    /// As a backend has it; else its inode could be used again.
    private let held: FileHandle

    init() throws {
        path = folder.write("w", "weights")
        loaded = try FileFacts(path: path)
        held = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    }

    private func watch() -> WeightsWatch {
        WeightsWatch(path: path, facts: loaded, digest: digest, checkMilliseconds: 750)
    }

    /// The file after something was done to it, in another tick of the clock.
    private func facts(after change: () throws -> Void) throws -> FileFacts {
        let isAnother = try eventuallyBlocking {
            try change()
            return try FileFacts(path: path).changedNanoseconds != loaded.changedNanoseconds
        }
        try #require(isAnother)
        return try FileFacts(path: path)
    }

    private func overwritten() throws -> FileFacts {
        try facts {
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try file.write(contentsOf: Data("WEIGHTS".utf8))
            try file.close()
        }
    }

    private func replaced() throws -> FileFacts {
        try facts {
            folder.write("new", "weights")
            rename(folder.path + "/new", path)
        }
    }

    /// `#expect` cannot call what mutates.
    private func expect(
        _ action: WeightsWatch.Action, _ expected: WeightsWatch.Action, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(action == expected, sourceLocation: location)
    }

    @Test("as long as the file is as it was loaded nothing is done")
    func unchanged() {
        var watch = watch()
        expect(watch.look(.found(loaded, isSettled: true), held: loaded), .nothing)
        expect(watch.look(.none, held: nil), .nothing)
        #expect(watch.notice == "")
    }

    @Test("a file that has another size changed under the backend: there is nothing to wait for")
    func resized() throws {
        var watch = watch()
        let now = try facts { truncate(path, 3) }
        #expect(now.isSameFile(as: loaded), "it was written in place")
        expect(watch.look(.found(now, isSettled: false), held: now), .replace)
    }

    @Test("a file of the same size is read, soon: only touched, it goes on; written to, it ends")
    func touched() throws {
        var watch = watch()
        let now = try overwritten()
        expect(watch.look(.found(now, isSettled: false), held: now), .read(withinMilliseconds: 750))
        expect(watch.look(.found(now, isSettled: false), held: now), .nothing)
        // It may have been written to once more in the same tick of the clock.
        expect(watch.read(now, digest: digest, isCertain: false), .nothing)
        expect(watch.look(.found(now, isSettled: false), held: now), .read(withinMilliseconds: 750))
        expect(watch.read(now, digest: digest, isCertain: true), .nothing)
        expect(watch.look(.found(now, isSettled: true), held: now), .nothing)
        let again = try overwritten()
        expect(watch.look(.found(again, isSettled: false), held: again), .read(withinMilliseconds: 750))
        expect(watch.read(again, digest: other, isCertain: true), .replace)
    }

    @Test("a file in place that cannot be read in time, or changes meanwhile, counts as changed")
    func tooSlow() throws {
        let now = try overwritten()
        var slow = watch()
        _ = slow.look(.found(now, isSettled: false), held: now)
        expect(slow.tooSlow(), .replace)
        expect(slow.read(now, digest: digest, isCertain: true), .nothing)
        var unsteady = watch()
        _ = unsteady.look(.found(now, isSettled: false), held: now)
        expect(unsteady.read(now, digest: nil, isCertain: true), .replace)
        expect(unsteady.tooSlow(), .nothing)
    }

    @Test("a new file in its place is waited for and read while the loaded one is in use")
    func renamed() throws {
        let now = try replaced()
        #expect(!now.isSameFile(as: loaded))
        var same = watch()
        expect(same.look(.found(now, isSettled: false), held: loaded), .nothing)
        #expect(same.notice.contains("still being written"))
        expect(same.look(.found(now, isSettled: true), held: loaded), .read(withinMilliseconds: nil))
        #expect(same.notice.contains("being read"))
        expect(same.read(now, digest: digest, isCertain: true), .nothing)
        expect(same.look(.found(now, isSettled: true), held: loaded), .nothing)
        #expect(same.notice == "")
        var different = watch()
        _ = different.look(.found(now, isSettled: true), held: loaded)
        expect(different.read(now, digest: nil, isCertain: true), .nothing)
        expect(different.look(.found(now, isSettled: true), held: loaded), .read(withinMilliseconds: nil))
        expect(different.read(now, digest: other, isCertain: true), .replace)
        #expect(different.reason == "was ended because its weights, \(path), changed")
    }

    @Test("weights that are gone, or not to be trusted any more, are used on, unless they change where they are now")
    func gone() throws {
        var watch = watch()
        expect(watch.look(.missing, held: loaded), .nothing)
        #expect(watch.notice.contains("are gone"))
        expect(watch.look(.refused("it is writable by everyone"), held: loaded), .nothing)
        #expect(watch.notice == "it could not be started again: it is writable by everyone")
        expect(watch.look(.missing, held: nil), .nothing)
        let written = try overwritten()
        for look in [.none, .missing, .refused("x"), .found(try replaced(), isSettled: false)] as [WeightsLook] {
            expect(watch.look(look, held: written), .replace)
        }
    }
}
