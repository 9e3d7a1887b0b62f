internal import EventLoop
internal import LinuxSystem

/// Tells when files were written, replaced or removed, by looking at them every so often: unlike inotify(7) that works on
/// every file system and through links. It looks from another thread, which alone waits where a disk hangs. On the loop,
/// until it is stopped.
@IOLoop
final class FileWatch {
    private let paths: [String]
    private let everyMilliseconds: UInt64
    /// Hears of every change.
    var changed: (@IOLoop () -> Void)?
    /// Nil: whatever is there is new.
    private var seen: [FileFacts?]?
    private var timer: Timer?
    private var isStopped = false

    /// Changes count from now on: read the files after this.
    init(_ paths: [String], everyMilliseconds: UInt64) {
        self.paths = paths
        self.everyMilliseconds = everyMilliseconds
        seen = FileWatch.look(at: paths)
        arm()
    }

    /// What was seen could not be taken over: tells of it again, though it stays as it is.
    func forget() { seen = nil }

    func stop() {
        isStopped = true
        timer?.cancel()
        timer = nil
    }

    private func arm() {
        guard !isStopped else { return }
        timer = IOLoop.schedule(afterMilliseconds: everyMilliseconds) { [weak self] in self?.look() }
    }

    private func look() {
        do throws(LinuxError) {
            try DetachedThread.run { [paths, weak self] in
                let now = FileWatch.look(at: paths)
                Task { [weak self] in await self?.looked(now) }
            }
        } catch {
            // No thread can be had: it looks again when one can.
            arm()
        }
    }

    private func looked(_ now: [FileFacts?]) {
        arm()
        guard !isStopped, now != seen else { return }
        seen = now
        changed?()
    }

    /// Links are followed, so that a link to another file is a change.
    nonisolated private static func look(at paths: [String]) -> [FileFacts?] {
        paths.map { try? FileFacts(following: $0) }
    }
}
