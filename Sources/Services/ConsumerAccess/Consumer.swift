package import EventLoop
internal import Foundation
package import GRPC
internal import LinuxSystem

/// The holder of a key: its open calls and its token budget. On the loop; one for each key in use.
@IOLoop
package final class Consumer: Caller {
    package private(set) var key: AccessKey
    /// The SHA-256 of its secret.
    package var sha256: [UInt8] { key.sha256.bytes }
    package let id: CallerID
    private var calls: [ObjectIdentifier: ServerCall] = [:]
    /// Those of them that do not count, because they go on with what counts already.
    private var uncounted: Set<ObjectIdentifier> = []
    /// Turns that may go on when the call that began them has ended, each with what ends it.
    private var resumable: [ObjectIdentifier: @IOLoop () -> Void] = [:]
    /// Of turns with several choices all but one each, and turns whose call has ended: they count as calls too.
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

    /// Whether it has nothing open.
    var isIdle: Bool { calls.isEmpty && resumable.isEmpty }

    var hasBudget: Bool { budget != nil }

    /// Whether no tokens count against the current minute.
    var hasUsedNothing: Bool { budget?.isUnused(at: Self.second) ?? true }

    private var counted: Int { calls.count - uncounted.count + furtherChoices }

    /// Throws RESOURCE_EXHAUSTED when as many calls are open as the key allows. `resumes`: the call goes on with what another
    /// one began, whose connection may be lost without anybody knowing it yet; this must not keep it out.
    func begin(_ call: ServerCall, resumes: Bool) throws(Status) {
        if resumes {
            uncounted.insert(ObjectIdentifier(call))
        } else if let most = key.limits.streams, counted >= Int(most) {
            throw tooManyCalls("allows \(most) calls at once, and they are open; end one of them first")
        }
        calls[ObjectIdentifier(call)] = call
    }

    /// A call that another agent has passed on: it was admitted there, and counts, but is not refused.
    package func goesOn(_ call: ServerCall) { calls[ObjectIdentifier(call)] = call }

    /// A turn of so many choices that another agent has passed on.
    package func goesOn(choices: Int) { furtherChoices += choices - 1 }

    /// A turn begins that may go on when its call has ended. `end` is called if the key is revoked.
    package func begin(resumable turn: AnyObject, end: @escaping @IOLoop () -> Void) {
        resumable[ObjectIdentifier(turn)] = end
    }

    /// The call of such a turn has ended, and the turn counts in its place.
    package func goesOnWithoutCall() { furtherChoices += 1 }

    /// Such a turn has ended. `withoutCall`: it counted itself.
    package func end(resumable turn: AnyObject, withoutCall: Bool) {
        if withoutCall { furtherChoices -= 1 }
        if resumable.removeValue(forKey: ObjectIdentifier(turn)) != nil, isIdle { rests(self) }
    }

    /// A turn of so many choices begins on an open call. Throws RESOURCE_EXHAUSTED when that is more than the key allows
    /// calls at once.
    package func begin(choices: Int) throws(Status) {
        if choices > 1, let most = key.limits.streams, counted + choices - 1 > Int(most) {
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
        uncounted.remove(ObjectIdentifier(call))
        guard calls.removeValue(forKey: ObjectIdentifier(call)) != nil, isIdle else { return }
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

    /// Ends at most `callsMax` calls, and as much that goes on without one, because the key is gone. Returns how many.
    func revoke(callsMax: Int) -> Int {
        let status = Status(
            .unauthenticated, "the key '\(key.name)' was revoked: ask the host's owner for another one")
        let ended = Array(calls.values.prefix(callsMax))
        for call in ended { call.abort(status) }
        let left = Array(resumable.values.prefix(callsMax))
        for end in left { end() }
        return ended.count + left.count
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

    /// What it has used of its minute; nil: nothing that counts.
    var usedTokens: UsedTokens? {
        let second = Self.second
        guard let counts = budget?.used(at: second), !counts.isEmpty else { return nil }
        return UsedTokens(keySHA256: sha256, second: second, counts: counts)
    }

    /// Counts what it has used with the agent before this one.
    func goOn(with used: UsedTokens) {
        budget?.add(used: used.counts, upTo: used.second, at: Self.second)
    }

    /// The time until at least one token may be computed again.
    package var millisecondsUntilTokens: UInt64 {
        (budget?.secondsUntilAvailable(at: Self.second) ?? 0) * 1000
    }

    private static var second: UInt64 { Monotonic.now().nanoseconds / 1_000_000_000 }
}
