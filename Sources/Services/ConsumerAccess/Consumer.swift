package import EventLoop
internal import Foundation
package import GRPC
internal import LinuxSystem

/// The holder of a key: its open calls and its token budget. On the loop; one for each key in use.
@IOLoop
package final class Consumer: Caller {
    package private(set) var key: AccessKey
    package let id: CallerID
    private var calls: [ObjectIdentifier: ServerCall] = [:]
    /// Of turns with several choices all but one each: they count as calls too.
    private var furtherChoices = 0
    private var budget: TokenBudget?
    private let rests: @IOLoop (Consumer) -> Void
    /// Set by the register while a check is scheduled whether this consumer can be forgotten.
    var isBeingForgotten = false

    /// `rests` is called when its last open call has ended.
    init(_ key: AccessKey, rests: @escaping @IOLoop (Consumer) -> Void) {
        self.key = key
        self.rests = rests
        id = .key(sha256: key.sha256.bytes)
        budget = key.limits.tokensPerMinute.map(TokenBudget.init)
    }

    package var openCalls: Int { calls.count }

    var hasBudget: Bool { budget != nil }

    /// Whether no tokens count against the current minute.
    var hasUsedNothing: Bool { budget?.isUnused(at: Self.second) ?? true }

    /// Throws RESOURCE_EXHAUSTED when as many calls are open as the key allows.
    func begin(_ call: ServerCall) throws(Status) {
        if let most = key.limits.streams, calls.count + furtherChoices >= Int(most) {
            throw tooManyCalls("allows \(most) calls at once, and they are open; end one of them first")
        }
        calls[ObjectIdentifier(call)] = call
    }

    /// A turn of so many choices begins on an open call. Throws RESOURCE_EXHAUSTED when that is more than the key allows
    /// calls at once.
    package func begin(choices: Int) throws(Status) {
        if choices > 1, let most = key.limits.streams, calls.count + furtherChoices + choices - 1 > Int(most) {
            throw tooManyCalls(
                "allows \(most) calls at once, and each of the \(choices) choices counts as one; ask for fewer, or end "
                    + "other calls first")
        }
        furtherChoices += choices - 1
    }

    /// Such a turn has ended.
    package func end(choices: Int) { furtherChoices -= choices - 1 }

    private func tooManyCalls(_ why: String) -> Status {
        Status(
            .resourceExhausted, "the key '\(key.name)' \(why)",
            details: [.quotaFailure(subject: "key:\(key.name)", description: "concurrent calls")])
    }

    package func callEnded(_ call: ServerCall) {
        guard calls.removeValue(forKey: ObjectIdentifier(call)) != nil, calls.isEmpty else { return }
        rests(self)
    }

    /// Takes over changed limits of the key; tokens used in the last minute still count.
    func update(_ key: AccessKey) {
        self.key = key
        guard let perMinute = key.limits.tokensPerMinute else {
            budget = nil
            return
        }
        if budget == nil { budget = TokenBudget(perMinute: perMinute) } else { budget?.perMinute = perMinute }
    }

    /// Ends at most `callsMax` calls, because the key is gone. Returns how many.
    func revoke(callsMax: Int) -> Int {
        let status = Status(
            .unauthenticated, "the key '\(key.name)' was revoked: ask the host's owner for another one")
        let ended = Array(calls.values.prefix(callsMax))
        for call in ended { call.abort(status) }
        return ended.count
    }
}

extension Consumer {
    /// Whether a turn may begin. Throws UNAUTHENTICATED when the key has expired since the call began, and
    /// RESOURCE_EXHAUSTED with the time to wait when its tokens of this minute are used up.
    package func checkTurn() throws(Status) {
        try AccessRefusal.check(key, at: Date())
        let seconds = budget?.secondsUntilAvailable(at: Self.second) ?? 0
        if seconds > 0 { throw AccessRefusal.rate(key, seconds: seconds) }
    }

    /// Throws PERMISSION_DENIED for a model that the key does not allow.
    package func check(model: String) throws(Status) {
        guard key.limits.allows(model: model) else {
            throw Status(
                .permissionDenied,
                "the key '\(key.name)' does not allow the model '\(model)'; it allows: "
                    + key.limits.models.joined(separator: ", "))
        }
    }

    /// How much of a model's sequences its requests get while others wait too.
    package var share: UInt32 { key.limits.share ?? 1 }

    /// The priority of a call of this consumer, or, where it is nil, of a caller without a key. Throws INVALID_ARGUMENT for
    /// one that is unknown, and PERMISSION_DENIED for one that is above what the key allows.
    package static func priority(of call: ServerCall, for consumer: Consumer?) throws(Status) -> RequestPriority {
        let most = consumer?.key.limits.priority ?? .usualMost
        guard let asked = try RequestPriority(in: call.metadata) else { return min(.normal, most) }
        guard asked <= most else { throw AccessRefusal.priority(asked, most: most, key: consumer?.key) }
        return asked
    }

    /// How far ahead a backend may compute for one of several turns that share this key's minute.
    package func creditTokens(atMost most: UInt32) -> UInt32 {
        key.limits.tokensPerMinute.map { min(most, max($0 / 8, 1)) } ?? most
    }

    /// Takes as many of `count` tokens as may be computed now; returns how many.
    package func take(upTo count: UInt32) -> UInt32 { budget?.take(upTo: count, at: Self.second) ?? count }

    /// Gives back tokens that were taken and not computed.
    package func giveBack(_ count: UInt32) { budget?.giveBack(count, at: Self.second) }

    /// Counts tokens that were computed without being taken first: those of a prompt.
    package func charge(_ count: UInt32) { budget?.charge(UInt64(count), at: Self.second) }

    /// The time until at least one token may be computed again.
    package var millisecondsUntilTokens: UInt64 {
        (budget?.secondsUntilAvailable(at: Self.second) ?? 0) * 1000
    }

    private static var second: UInt64 { Monotonic.now().nanoseconds / 1_000_000_000 }
}
