package import EventLoop
internal import Foundation
internal import GRPC

/// The keys in force and the consumers that use them, for every listener of an agent. On the loop.
@IOLoop
package final class ConsumerRegister {
    package private(set) var book: KeyBook
    /// Those that have calls, or had some of late.
    private var consumers: [SecretDigest: Consumer] = [:]
    /// Keys whose consumers have still to hear that they are gone or have changed.
    private var changes: [SecretDigest] = []

    /// Longer than what was used of a minute's tokens counts.
    private static let restMilliseconds: UInt64 = 62_000

    package init(_ book: KeyBook) { self.book = book }

    /// From now on these are the keys, and `changes` those that are gone or have changed (`KeyBook.changes`, which looks
    /// at all of them and so is for another thread). Calls of those that are gone end UNAUTHENTICATED, in this turn of
    /// the loop or, where they are very many, in the next ones.
    package func replace(_ book: KeyBook, changes: [SecretDigest]) {
        self.book = book
        if self.changes.isEmpty, !changes.isEmpty { IOLoop.goOnLater(self, .first) }
        self.changes += changes
    }

    /// The consumer that brings this secret. Throws UNAUTHENTICATED when its key is not known or has expired.
    func consumer(_ secret: KeySecret) throws(Status) -> Consumer {
        guard let key = book.key(of: secret) else { throw AccessRefusal.unknown }
        try AccessRefusal.check(key, at: Date())
        if let known = consumers[key.sha256] {
            // It may not have heard yet.
            if known.key != key { known.update(key) }
            return known
        }
        let consumer = Consumer(key) { [weak self] in self?.rests($0) }
        consumers[key.sha256] = consumer
        return consumer
    }

    /// Its last call has ended. Who may have used something of a minute's tokens is remembered for as long as that counts,
    /// and while what was computed for its last call may still be told.
    private func rests(_ consumer: Consumer) {
        guard consumer.hasBudget else { return forget(consumer) }
        guard !consumer.isBeingForgotten else { return }
        consumer.isBeingForgotten = true
        IOLoop.schedule(afterMilliseconds: Self.restMilliseconds) { [weak self] in
            consumer.isBeingForgotten = false
            guard consumer.openCalls == 0 else { return }
            if consumer.hasUsedNothing { self?.forget(consumer) } else { self?.rests(consumer) }
        }
    }

    private func forget(_ consumer: Consumer) {
        let digest = consumer.key.sha256
        if consumers[digest] === consumer { consumers[digest] = nil }
    }
}

extension ConsumerRegister: UnfinishedWork {
    /// Tells consumers what became of their keys.
    package func goOn(steps: Int) -> Int {
        var used = 0
        while used < steps, let digest = changes.last {
            used += 1
            if let consumer = consumers[digest] {
                used += tell(consumer, digest, steps: steps - used)
                if book.key(digest) == nil, consumer.openCalls > 0 { continue }
            }
            changes.removeLast()
        }
        if !changes.isEmpty { IOLoop.goOnLater(self, .first) }
        return used
    }

    /// What became of its key; returns what that took. Of one that is gone calls may be left.
    private func tell(_ consumer: Consumer, _ digest: SecretDigest, steps: Int) -> Int {
        if let key = book.key(digest) {
            consumer.update(key)
            return 0
        }
        let ended = consumer.revoke(callsMax: max(steps / Self.stepsPerRevokedCall, 1))
        if consumer.openCalls == 0 { forget(consumer) }
        return ended * Self.stepsPerRevokedCall
    }

    /// A call's end is told to its client, to its handler and to whoever computes for it.
    private static let stepsPerRevokedCall = 50
}
