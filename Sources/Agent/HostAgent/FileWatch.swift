internal import EventLoop
internal import LinuxSystem

/// Reports when files were written, replaced or removed. It looks at them at intervals, which unlike inotify(7) works
/// on every file system and through links, and from another thread, so that a disk that hangs does not block the loop.
/// On the loop, until it is stopped.
@IOLoop
final class FileWatch {
    private let paths: [String]
    private let everyMilliseconds: UInt64
    /// Called at every change.
    var changed: (@IOLoop () -> Void)?
    /// Nil: the next look counts as a change.
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

    /// Reports the present state again, because it could not be taken over.
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
            // The system has no thread to spare: the next look comes later.
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
