internal import Glibc

/// A thread of its own for work that may block for as long as a disk does: if it hangs, it takes no thread of a pool.
package enum DetachedThread {
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs the body on a new thread, which ends with it, and returns at once. Throws EAGAIN when the system has no
    /// room for another thread (pthread_create(3)).
    package static func run(_ body: @escaping @Sendable () -> Void) throws(LinuxError) {
        // Retained for the thread, which takes it as its first act.
        let context = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Work>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, context.toOpaque())
        guard failure == 0 else {
            context.release()
            throw LinuxError(code: failure, operation: "start a thread")
        }
        pthread_detach(thread)
    }
}
