package import EventLoop
internal import Foundation
package import GRPC

/// The keys in force and the consumers that use them, for every listener of an agent. On the loop.
@IOLoop
package final class ConsumerRegister {
    package private(set) var book: KeyBook
    /// Consumers that have calls, or had some recently.
    private var consumers: [SecretDigest: Consumer] = [:]
    /// Keys that are gone or have changed, and whose consumers were not told yet.
    private var changes: [SecretDigest] = []

    /// Longer than used tokens count against a minute.
    private static let restMilliseconds: UInt64 = 62_000

    package init(_ book: KeyBook) { self.book = book }

    /// Replaces the keys; `changes` are those that are gone or have changed (`KeyBook.changes`, which looks at every
    /// key and so runs on another thread). Calls of keys that are gone end UNAUTHENTICATED, in this turn of the loop
    /// or, if there are very many, in the next ones.
    package func replace(_ book: KeyBook, changes: [SecretDigest]) {
        self.book = book
        if self.changes.isEmpty, !changes.isEmpty { IOLoop.goOnLater(self, .first) }
        self.changes += changes
    }

    /// The consumer with this secret. Throws UNAUTHENTICATED when its key is unknown or has expired.
    func consumer(_ secret: KeySecret) throws(Status) -> Consumer {
        guard let key = book.key(of: secret) else { throw AccessRefusal.unknown }
        try AccessRefusal.check(key, at: Date())
        return consumer(key)
    }

    /// The consumer that an agent before this one has admitted, by the SHA-256 of its secret. Throws UNAUTHENTICATED when its
    /// key is gone.
    package func consumer(admittedWith sha256: [UInt8]) throws(Status) -> Consumer {
        guard let digest = SecretDigest(sha256), let key = book.key(digest) else { throw AccessRefusal.unknown }
        return consumer(key)
    }

    /// What keys have used of their minute, for the agent that takes this one's place.
    package var usedTokens: [UsedTokens] { consumers.values.compactMap(\.usedTokens) }

    /// Counts what keys have used with the agent before this one.
    package func goOn(with used: [UsedTokens]) {
        for used in used {
            guard let consumer = try? consumer(admittedWith: used.keySHA256) else { continue }
            consumer.goOn(with: used)
            if consumer.isIdle { rests(consumer) }
        }
    }

    private func consumer(_ key: AccessKey) -> Consumer {
        if let known = consumers[key.sha256] {
            // The consumer may not have been told of a change yet.
            if known.key != key { known.update(key) }
            return known
        }
        let consumer = Consumer(key) { [weak self] in self?.rests($0) }
        consumers[key.sha256] = consumer
        return consumer
    }

    /// The last call of a consumer has ended. A consumer that may have used tokens is remembered for as long as they
    /// count, and while tokens of its last call may still be charged.
    private func rests(_ consumer: Consumer) {
        guard consumer.hasBudget else { return forget(consumer) }
        guard !consumer.isBeingForgotten else { return }
        consumer.isBeingForgotten = true
        IOLoop.schedule(afterMilliseconds: Self.restMilliseconds) { [weak self] in
            consumer.isBeingForgotten = false
            guard consumer.isIdle else { return }
            if consumer.hasUsedNothing { self?.forget(consumer) } else { self?.rests(consumer) }
        }
    }

    private func forget(_ consumer: Consumer) {
        let digest = consumer.key.sha256
        if consumers[digest] === consumer { consumers[digest] = nil }
    }
}

extension ConsumerRegister: UnfinishedWork {
    /// Tells consumers of the changes of their keys.
    package func goOn(steps: Int) -> Int {
        var used = 0
        while used < steps, let digest = changes.last {
            used += 1
            if let consumer = consumers[digest] {
                used += tell(consumer, digest, steps: steps - used)
                if book.key(digest) == nil, !consumer.isIdle { continue }
            }
            changes.removeLast()
        }
        if !changes.isEmpty { IOLoop.goOnLater(self, .first) }
        return used
    }

    /// Tells a consumer of its key's change; returns the steps that this took. If the key is gone, some calls may be
    /// left.
    private func tell(_ consumer: Consumer, _ digest: SecretDigest, steps: Int) -> Int {
        if let key = book.key(digest) {
            consumer.update(key)
            return 0
        }
        let ended = consumer.revoke(callsMax: max(steps / Self.stepsPerRevokedCall, 1))
        if consumer.isIdle { forget(consumer) }
        return ended * Self.stepsPerRevokedCall
    }

    /// The cost of ending a call: its client, its handler and its backend are told.
    private static let stepsPerRevokedCall = 50
}
