internal import EventLoop

/// Messages on their way from the loop to a task that awaits them one by one.
///
/// Used on the loop. The producer bounds it: `isFull` tells it to pause, `onRoom` to go on.
@IOLoop
final class MessageQueue<Element: Sendable> {
    private var elements: [(element: Element, byteCount: Int, isCompressed: Bool)] = []
    private var first = 0
    private var queuedBytes = 0
    /// The bytes of the element that was handed out last, until its reader asks for the next one.
    private var readBytes = 0
    private var end: Status?
    private var waiter: CheckedContinuation<Element?, any Error>?
    /// The task that waits to see whether something comes, and until when.
    private var lookout: CheckedContinuation<Bool, Never>?
    private var lookoutEnd: Timer?
    private let messagesMax: Int
    private let bytesMax: Int
    /// Whether the element that was handed out last was compressed on the way.
    private(set) var isLastCompressed = false

    /// The queue has run empty after it was full.
    var onRoom: (@IOLoop () -> Void)?
    /// Called with the bytes of messages that are in the queue or with their reader.
    var onKept: (@IOLoop (Int) -> Void)?
    /// The task that awaits a message was cancelled.
    var onCancel: (@IOLoop () -> Void)?

    nonisolated init(limits: Limits) {
        messagesMax = limits.queuedMessagesMax
        bytesMax = limits.queuedBytesMax
    }

    var isFull: Bool { elements.count - first >= messagesMax || queuedBytes >= bytesMax }

    func push(_ element: Element, byteCount: Int, isCompressed: Bool) {
        guard end == nil else { return }
        if let waiter {
            self.waiter = nil
            isLastCompressed = isCompressed
            readBytes = byteCount
            waiter.resume(returning: element)
        } else {
            elements.append((element, byteCount, isCompressed))
            queuedBytes += byteCount
            endLookout(true)
        }
        onKept?(queuedBytes + readBytes)
    }

    /// No more messages will come: the reader gets nil after OK, and any other status is thrown.
    func finish(_ status: Status) {
        guard end == nil else { return }
        end = status
        onRoom = nil
        onCancel = nil
        if let waiter {
            self.waiter = nil
            resumeAtEnd(waiter, status)
        }
        endLookout(true)
    }

    private func resumeAtEnd(_ waiter: CheckedContinuation<Element?, any Error>, _ status: Status) {
        if status.isOK { waiter.resume(returning: nil) } else { waiter.resume(throwing: status) }
    }

    func next() async throws -> Element? {
        if first < elements.count {
            let (element, byteCount, isCompressed) = elements[first]
            first += 1
            isLastCompressed = isCompressed
            queuedBytes -= byteCount
            readBytes = byteCount
            onKept?(queuedBytes + readBytes)
            if first == elements.count {
                elements.removeAll(keepingCapacity: true)
                first = 0
                onRoom?()
            }
            return element
        }
        readBytes = 0
        onKept?(0)
        precondition(waiter == nil, "one task at a time reads a stream of messages")
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiter in
                if let end {
                    resumeAtEnd(waiter, end)
                } else if Task.isCancelled {
                    onCancel?()
                    waiter.resume(throwing: CancellationError())
                } else {
                    self.waiter = waiter
                }
            }
        } onCancel: {
            Task { @IOLoop in self.cancel() }
        }
    }

    /// Whether a message or the end has come, at the latest after this time; true also when the reader's task was cancelled,
    /// which `next` tells it.
    func hasNext(withinMilliseconds milliseconds: UInt64) async -> Bool {
        if first < elements.count || end != nil { return true }
        precondition(lookout == nil, "one task at a time reads a stream of messages")
        return await withTaskCancellationHandler {
            await withCheckedContinuation { lookout in
                if first < elements.count || end != nil || Task.isCancelled { return lookout.resume(returning: true) }
                self.lookout = lookout
                lookoutEnd = IOLoop.schedule(afterMilliseconds: milliseconds) { [weak self] in
                    self?.endLookout(false)
                }
            }
        } onCancel: {
            Task { @IOLoop in self.endLookout(true) }
        }
    }

    private func endLookout(_ hasNext: Bool) {
        guard let lookout else { return }
        self.lookout = nil
        lookoutEnd?.cancel()
        lookoutEnd = nil
        lookout.resume(returning: hasNext)
    }

    private func cancel() {
        onCancel?()
        if let waiter {
            self.waiter = nil
            waiter.resume(throwing: CancellationError())
        }
    }
}

/// The messages of a call, as they come; one task at a time reads them. Unread messages close the sender's window.
///
/// Ends after the sender's last message; throws the call's `Status` when it ended otherwise.
package struct MessageStream<Element: Sendable>: AsyncSequence, Sendable {
    let queue: MessageQueue<Element>

    /// Whether the reader's next message, or the end, comes within this time. The reader's task asks.
    @IOLoop package func hasNext(withinMilliseconds milliseconds: UInt64) async -> Bool {
        await queue.hasNext(withinMilliseconds: milliseconds)
    }

    /// Whether the message that was read last was compressed on the way.
    @IOLoop package var isMessageCompressed: Bool { queue.isLastCompressed }

    package struct AsyncIterator: AsyncIteratorProtocol {
        let queue: MessageQueue<Element>
        package mutating func next() async throws -> Element? { try await queue.next() }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: queue) }
}
