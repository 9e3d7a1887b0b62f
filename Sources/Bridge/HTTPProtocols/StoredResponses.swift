package import InferenceMessages
package import LinuxSystem

/// The responses in the background, by their ids, within bounds. Pure: its owner computes them, and tells what came.
///
/// A response belongs to the key that asked for it; of a client without one, its id, which nobody can guess, is the right
/// to it. One that is over is kept for `keptMilliseconds`, or until its place is needed.
package struct StoredResponses: Sendable {
    package struct Limits: Sendable {
        /// Responses that are stored, those that are computed among them.
        package var countMax = 256
        /// The same of one key, and of all clients without one.
        package var countOfCallerMax = 64
        /// What all of them take together.
        package var bytesMax = 64 << 20
        /// What one takes; one that grows beyond it fails.
        package var responseBytesMax = 8 << 20
        /// How long one is kept after its end.
        package var keptMilliseconds: UInt64 = 600_000

        package init() {}
    }

    private struct Entry {
        let caller: [UInt8]
        var response: StoredResponse
        /// When it ended.
        var ended: Monotonic?
    }

    private let limits: Limits
    private var entries: [String: Entry] = [:]
    private var byteCount = 0

    package init(_ limits: Limits = Limits()) { self.limits = limits }

    package var count: Int { entries.count }

    /// The ids of all, in no order.
    package var ids: [String] { Array(entries.keys) }

    /// Whosever it is.
    package subscript(id: String) -> StoredResponse? { entries[id]?.response }

    /// A response as another bridge is told of it; nil: there is none.
    package func record(_ id: String) -> StoredResponse.Record? {
        entries[id].map { $0.response.record(of: $0.caller, ended: $0.ended) }
    }

    /// Stores a response that is about to be computed. `caller`: a digest of the key, empty for none. Throws 429 where
    /// there is no place for it.
    package mutating func insert(
        _ response: StoredResponse, of caller: [UInt8], at now: Monotonic
    ) throws(HTTPFailure) {
        removeOld(at: now)
        while isFull(for: caller, with: response.byteCount) {
            let isOfCaller = entries.values.count { $0.caller == caller } >= limits.countOfCallerMax
            guard let oldest = oldestOver({ !isOfCaller || $0 == caller }) else {
                throw HTTPFailure(
                    429, type: "rate_limit_error", code: "rate_limit_exceeded", param: "background",
                    "too many responses are computed in the background; wait until one is over", retryAfterSeconds: 5)
            }
            remove(oldest)
        }
        entries[response.id] = Entry(caller: caller, response: response)
        byteCount += response.byteCount
    }

    /// Stores a response that another bridge has begun. Returns false where it cannot be read, or has no place.
    package mutating func insert(_ record: StoredResponse.Record, at now: Monotonic) -> Bool {
        guard let response = StoredResponse(record) else { return false }
        do throws(HTTPFailure) {
            try insert(response, of: Array(record.caller), at: now)
        } catch {
            return false
        }
        if record.hasEnded { entries[response.id]?.ended = min(now, Monotonic(nanoseconds: record.ended)) }
        return true
    }

    /// The response that has been over for longest, of the callers that are asked for.
    private func oldestOver(_ isAskedFor: ([UInt8]) -> Bool) -> String? {
        entries.compactMap { id, entry in entry.ended.map { (id: id, ended: $0, caller: entry.caller) } }
            .filter { isAskedFor($0.caller) }.min { $0.ended < $1.ended }?.id
    }

    private func isFull(for caller: [UInt8], with bytes: Int) -> Bool {
        entries.count >= limits.countMax || byteCount + bytes > limits.bytesMax
            || entries.values.count { $0.caller == caller } >= limits.countOfCallerMax
    }

    /// The response with this id; throws 404 where there is none of this caller's.
    package func response(_ id: String, of caller: [UInt8]) throws(HTTPFailure) -> StoredResponse {
        guard let entry = entries[id], entry.caller == caller else {
            throw HTTPFailure(
                404, type: "invalid_request_error", code: "response_not_found",
                "there is no response '\(id.prefix(128))' here: only responses with \"background\" are stored, for "
                    + "\(limits.keptMilliseconds / 60_000) minutes after their end, and none outlives this host's end"
            )
        }
        return entry.response
    }

    /// The next event of a response. Returns false where nothing more of it is wanted: it is over, was deleted, or cannot
    /// be taken.
    package mutating func receive(_ event: Hearth_V1_ChatEvent, of id: String, at now: Monotonic) -> Bool {
        guard let before = entries[id]?.response.byteCount else { return false }
        do throws(HTTPFailure) {
            try entries[id]?.response.receive(event)
        } catch {
            fail(id, error, at: now)
            return false
        }
        let after = entries[id]?.response.byteCount ?? before
        byteCount += after - before
        while byteCount > limits.bytesMax, let oldest = oldestOver({ _ in true }) { remove(oldest) }
        if after > limits.responseBytesMax || byteCount > limits.bytesMax {
            fail(
                id,
                HTTPFailure(
                    500, type: "server_error", code: "response_too_large",
                    "the response grows beyond what can be stored here; ask for it without \"background\""), at: now)
        }
        guard entries[id]?.response.isOver == true else { return true }
        if entries[id]?.ended == nil { entries[id]?.ended = now }
        return false
    }

    /// The turn of a response has ended before it was whole. Has no effect on one that is over.
    package mutating func fail(_ id: String, _ failure: HTTPFailure, at now: Monotonic) {
        guard let entry = entries[id], !entry.response.isOver else { return }
        entries[id]?.response.fail(failure)
        if entries[id]?.ended == nil { entries[id]?.ended = now }
    }

    package mutating func remove(_ id: String) {
        if let entry = entries.removeValue(forKey: id) { byteCount -= entry.response.byteCount }
    }

    /// Lets go of those whose time is over.
    package mutating func removeOld(at now: Monotonic) {
        for (id, entry) in entries {
            guard let ended = entry.ended, ended.advanced(milliseconds: limits.keptMilliseconds) <= now else {
                continue
            }
            remove(id)
        }
    }
}
