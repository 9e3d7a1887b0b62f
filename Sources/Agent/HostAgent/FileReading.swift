internal import EventLoop
internal import LinuxSystem

/// Reads files, and makes something of them, on a thread of its own, so that neither a slow disk nor much to parse holds up
/// the loop. One reading at a time, each of which begins after it was asked for. On the loop.
@IOLoop
final class FileReading<Value: Sendable> {
    private let prepare: @IOLoop () -> @Sendable () -> Value
    /// Hears what came of a reading, and before the next one begins.
    var done: (@IOLoop (Value) -> Void)?
    private var isReading = false
    private var isAskedAgain = false
    private var isStopped = false

    private static var threadPauseMilliseconds: UInt64 { 1_000 }

    /// `prepare`: gives what is to be done on the thread.
    init(prepare: @escaping @IOLoop () -> @Sendable () -> Value) { self.prepare = prepare }

    /// Reads, or reads once more when the reading that is under way is over: the files may have changed behind it.
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

    /// What is read from now on is dropped.
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
