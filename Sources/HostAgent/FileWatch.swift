internal import EventLoop
internal import LinuxSystem

/// Tells when files were written, replaced or removed, by looking at them every so often: unlike inotify(7) that works on
/// every file system and through links. On the loop, until it is stopped.
@IOLoop
final class FileWatch {
    private let paths: [String]
    private let everyMilliseconds: UInt64
    private let changed: @IOLoop () -> Void
    private var seen: [FileFacts?]
    private var timer: Timer?

    /// Changes count from now on: read the files after this.
    init(_ paths: [String], everyMilliseconds: UInt64, changed: @escaping @IOLoop () -> Void) {
        self.paths = paths
        self.everyMilliseconds = everyMilliseconds
        self.changed = changed
        seen = FileWatch.look(at: paths)
        arm()
    }

    func stop() {
        timer?.cancel()
        timer = nil
    }

    private func arm() {
        timer = IOLoop.schedule(afterMilliseconds: everyMilliseconds) { [weak self] in self?.look() }
    }

    private func look() {
        arm()
        let now = FileWatch.look(at: paths)
        guard now != seen else { return }
        seen = now
        changed()
    }

    /// Links are followed, so that a link to another file is a change.
    private static func look(at paths: [String]) -> [FileFacts?] { paths.map { try? FileFacts(following: $0) } }
}
