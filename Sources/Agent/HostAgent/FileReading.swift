internal import EventLoop
internal import LinuxSystem

/// Reads and parses files on a thread of its own, so that neither a slow disk nor a long file holds up the loop. It
/// makes one reading at a time, each of which begins after it was asked for. On the loop.
@IOLoop
final class FileReading<Value: Sendable> {
    private let prepare: @IOLoop () -> @Sendable () -> Value
    /// Called with the result of each reading, before the next one begins.
    var done: (@IOLoop (Value) -> Void)?
    private(set) var isReading = false
    private var isAskedAgain = false
    private var isStopped = false

    private static var threadPauseMilliseconds: UInt64 { 1_000 }

    /// `prepare` returns the work for the thread.
    init(prepare: @escaping @IOLoop () -> @Sendable () -> Value) { self.prepare = prepare }

    /// Reads now, or once more after the reading under way, since when the files may have changed.
    func begin() {
        guard !isStopped else { return }
        guard !isReading else {
            isAskedAgain = true
            return
        }
        isReading = true
        let read = prepare()
        do throws(LinuxError) {
            try DetachedThread.run {
                let value = read()
                Task { await self.finish(value) }
            }
        } catch {
            // The system has no room for a thread just now.
            isReading = false
            IOLoop.schedule(afterMilliseconds: Self.threadPauseMilliseconds) { self.begin() }
        }
    }

    /// Drops the result of any reading that has not ended.
    func stop() { isStopped = true }

    private func finish(_ value: Value) {
        isReading = false
        guard !isStopped else { return }
        done?(value)
        guard isAskedAgain else { return }
        isAskedAgain = false
        begin()
    }
}
