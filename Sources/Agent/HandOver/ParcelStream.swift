package import EventLoop
package import LinuxSystem

/// A parcel socket on the loop, which waits for nothing else meanwhile.
@IOLoop
package final class ParcelStream: ReadinessHandler {
    package let socket: ParcelSocket
    private var watch: Watch?
    /// Those who wait until a parcel can be received, and until one can be sent.
    private var reader: CheckedContinuation<Bool, Never>?
    private var writer: CheckedContinuation<Bool, Never>?

    package init(_ socket: ParcelSocket) { self.socket = socket }

    /// The next parcel, however long it takes where no time is given; nil: the other end is closed. Called by one task at a
    /// time.
    package func receive(withinMilliseconds milliseconds: UInt64?) async throws(ParcelError) -> Parcel? {
        let deadline = milliseconds.map { Monotonic.now().advanced(milliseconds: $0) }
        while true {
            switch try socket.receive() {
            case .parcel(let parcel): return parcel
            case .ended: return nil
            case .nothing: try await wait(\.reader, until: deadline)
            }
        }
    }

    /// Sends a parcel as soon as the other process has room for it. Called by one task at a time.
    package func send(_ parcel: Parcel, withinMilliseconds milliseconds: UInt64) async throws(ParcelError) {
        let deadline = Monotonic.now().advanced(milliseconds: milliseconds)
        while try !socket.trySend(parcel) { try await wait(\.writer, until: deadline) }
    }

    package func ready(_ readiness: Readiness) {
        if readiness.hasAny(of: .input) { wake(\.reader, true) }
        if readiness.hasAny(of: Readiness(readable: false, writable: true)) || readiness.hasAny(of: .broken) {
            wake(\.writer, true)
        }
    }

    private typealias Waiter = ReferenceWritableKeyPath<ParcelStream, CheckedContinuation<Bool, Never>?>

    private func wait(_ waiter: Waiter, until deadline: Monotonic?) async throws(ParcelError) {
        precondition(self[keyPath: waiter] == nil, "one task at a time")
        let left = deadline?.since(.now())
        if left == 0 { throw .timedOut }
        // Rounded up, as the loop's timers are.
        let timer = left.map { left in
            IOLoop.schedule(afterMilliseconds: (left + 999_999) / 1_000_000) { [weak self] in self?.wake(waiter, false)
            }
        }
        defer { timer?.cancel() }
        let isReady = await withCheckedContinuation { continuation in
            self[keyPath: waiter] = continuation
            if !follow() { wake(waiter, false) }
        }
        if !isReady { throw .timedOut }
    }

    private func wake(_ waiter: Waiter, _ isReady: Bool) {
        guard let waiting = self[keyPath: waiter] else { return }
        self[keyPath: waiter] = nil
        _ = follow()
        waiting.resume(returning: isReady)
    }

    /// Watches the socket for what is waited for. Returns false where it cannot.
    private func follow() -> Bool {
        guard reader != nil || writer != nil else {
            watch?.unwatch()
            watch = nil
            return true
        }
        let interest = Readiness(readable: reader != nil, writable: writer != nil)
        if let watch {
            watch.setInterest(interest)
            return true
        }
        watch = try? IOLoop.watch(socket.descriptor, interest, handler: self)
        return watch != nil
    }
}
