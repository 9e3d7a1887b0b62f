internal import LinuxSystem

/// Decides whether a running backend's weights are still those that it loaded: findings of looks go in, actions come
/// out.
///
/// A file that replaces the loaded one by a rename leaves that one whole: the backend goes on while the new one is
/// written and read. A file that is written in place changes under the backend, which maps it: there is nothing to wait
/// for. In between are files that were only touched: their digest decides.
struct WeightsWatch: Equatable {
    enum Action: Equatable {
        case nothing
        /// Read the file and call `read`; if `withinMilliseconds` is set and that takes longer, call `tooSlow`.
        case read(withinMilliseconds: UInt64?)
        /// End the backend at once, and load what is there then.
        case replace
    }

    /// The path of the file, as its owner knows it.
    let path: String
    let digest: [UInt8]
    /// The longest time to read a file that may have changed under the backend.
    let checkMilliseconds: UInt64
    /// The file's facts with which it had that digest.
    private(set) var loaded: FileFacts
    /// The facts of the file that is being read.
    private var reading: FileFacts?
    /// What the owner should know; empty when all is well.
    private(set) var notice = ""

    init(path: String, facts: FileFacts, digest: [UInt8], checkMilliseconds: UInt64) {
        self.path = path
        self.digest = digest
        self.checkMilliseconds = checkMilliseconds
        loaded = facts
    }

    /// Why it is replaced, as the end of a sentence about the backend.
    var reason: String { "was ended because its weights, \(path), changed" }

    /// - Parameters:
    ///   - found: where the weights lie; `none` once the backend is to load other ones, or none, when it starts again.
    ///   - held: the facts of the file that the backend has open, wherever it lies now; nil: not known.
    mutating func look(_ found: WeightsLook, held: FileFacts?) -> Action {
        notice = ""
        switch found {
        case .none: return isChangedUnderBackend(held) ? .replace : .nothing
        case .found(let facts, let isSettled):
            if facts == loaded { return .nothing }
            if facts.isSameFile(as: loaded) { return changedInPlace(facts) }
            if isChangedUnderBackend(held) { return .replace }
            guard isSettled else {
                notice = "new weights, \(path), are still being written; the earlier ones are in use"
                return .nothing
            }
            return begin(facts, withinMilliseconds: nil)
        case .missing:
            if isChangedUnderBackend(held) { return .replace }
            notice = "its weights, \(path), are gone; it goes on with what it has open"
            return .nothing
        case .refused(let sentence):
            if isChangedUnderBackend(held) { return .replace }
            notice = "it could not be started again: \(sentence)"
            return .nothing
        }
    }

    /// The file was read; `digest` nil: it could not be, or changed meanwhile. Unless it is certain that a later write
    /// would give it other facts, the next look reads it again.
    mutating func read(_ facts: FileFacts, digest: [UInt8]?, isCertain: Bool) -> Action {
        guard let expected = reading else { return .nothing }
        reading = nil
        guard let digest else { return expected.isSameFile(as: loaded) ? .replace : .nothing }
        guard digest == self.digest else { return .replace }
        if isCertain { loaded = facts }
        return .nothing
    }

    /// The file was not read in time.
    mutating func tooSlow() -> Action {
        guard reading != nil else { return .nothing }
        reading = nil
        return .replace
    }

    private mutating func changedInPlace(_ facts: FileFacts) -> Action {
        if facts.byteCount != loaded.byteCount { return .replace }
        return begin(facts, withinMilliseconds: checkMilliseconds)
    }

    private mutating func begin(_ facts: FileFacts, withinMilliseconds milliseconds: UInt64?) -> Action {
        if milliseconds == nil { notice = "new weights, \(path), are being read; the earlier ones are in use" }
        if reading == facts { return .nothing }
        reading = facts
        return .read(withinMilliseconds: milliseconds)
    }

    /// A rename or another link changes the inode, but neither its size nor the time of its content.
    private func isChangedUnderBackend(_ held: FileFacts?) -> Bool {
        guard let held else { return false }
        return held.byteCount != loaded.byteCount || held.modifiedNanoseconds != loaded.modifiedNanoseconds
    }
}
