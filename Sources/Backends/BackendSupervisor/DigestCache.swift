internal import BaseEncodings
internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// The digests of files that were read before, so that neither a restart of a backend nor one of the agent reads gigabytes
/// again. Any thread.
///
/// A digest is stored under all facts of its file, and only where no write can have gone unseen: the file had been
/// quiet for so long when its reading began that every later write has another time. The cache lies in a file that is
/// replaced as a whole; a missing or damaged one counts as empty.
final class DigestCache: Sendable {
    static let entriesMax = 256
    /// Longer than a tick of any clock that file times are taken from: some file systems count in steps of two seconds.
    static let quietMilliseconds: UInt64 = 2_500
    private static let fileBytesMax = 1 << 20
    private static let header = "hearth digests 1"
    private static let digestBytes = 32

    private struct State {
        var digests: [String: [UInt8]] = [:]
        /// The keys, the oldest first.
        var order: [String] = []
        var isRead = false
    }

    private let path: String?
    private let state = Mutex(State())

    /// - Parameter path: where to keep them beyond this process; nil: nowhere.
    init(path: String? = nil) { self.path = path }

    func digest(of facts: FileFacts) -> [UInt8]? {
        state.withLock { state in
            readFileOnce(&state)
            return state.digests[Self.key(facts)]
        }
    }

    /// - Parameter begun: when the reading began, by the clock of `FileFacts`.
    func remember(_ digest: [UInt8], of facts: FileFacts, readFrom begun: Int64) {
        guard digest.count == Self.digestBytes, facts.wasQuiet(forMilliseconds: Self.quietMilliseconds, at: begun)
        else {
            return
        }
        state.withLock { state in
            readFileOnce(&state)
            Self.add(digest, for: Self.key(facts), to: &state)
            writeFile(state)
        }
    }

    private static func key(_ facts: FileFacts) -> String {
        "\(facts.device) \(facts.inode) \(facts.byteCount) \(facts.modifiedNanoseconds) \(facts.changedNanoseconds)"
    }

    private static func add(_ digest: [UInt8], for key: String, to state: inout State) {
        if state.digests.updateValue(digest, forKey: key) == nil { state.order.append(key) }
        if state.order.count > entriesMax { state.digests[state.order.removeFirst()] = nil }
    }
}

// The file: a line that names the format, then for each file its facts and its digest in hexadecimal digits.
extension DigestCache {
    private func readFileOnce(_ state: inout State) {
        guard !state.isRead else { return }
        state.isRead = true
        guard let path, let file = try? PathTrust.open(path, .state, O_RDONLY),
            let bytes = try? file.read(max: Self.fileBytesMax)
        else { return }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        // A file that ends in the middle of a line is damaged, whatever it says before.
        guard lines.first == Substring(Self.header), lines.last == "" else { return }
        for line in lines.dropFirst().dropLast() {
            let words = line.split(separator: " ")
            guard words.count == 6, let digest = fromHexadecimal(words[5].utf8), digest.count == Self.digestBytes
            else {
                state.digests = [:]
                state.order = []
                return
            }
            Self.add(digest, for: words[..<5].joined(separator: " "), to: &state)
        }
    }

    /// A digest that cannot be kept, or is lost with the power, is computed again: no reason to wait for the disk.
    private func writeFile(_ state: State) {
        guard let path else { return }
        let lines = state.order.map { "\($0) \(hexadecimal(state.digests[$0] ?? []))" }
        let text = ([Self.header] + lines).map { $0 + "\n" }.joined()
        try? FileBytes.replace(path, with: Array(text.utf8), isFlushed: false)
    }
}
