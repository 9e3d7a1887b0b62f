internal import LinuxSystem

/// The memory that all models together may take now, and what is to be done where one more does not fit. Pure.
///
/// A model counts with all that its process may take, from its launch to its end: what it has not touched yet is promised to
/// it.
struct MemoryBudget: Equatable, Sendable {
    /// This much of the available memory is left to the owner.
    static let reserveBytes: UInt64 = 2 << 30

    /// How a process holds its memory.
    enum Hold: Equatable, Sendable {
        /// For as long as the agent runs.
        case forGood
        /// It works, or is being loaded.
        case working
        case idle
        /// It is about to end and free its memory.
        case going
    }

    struct Holder: Equatable, Sendable {
        let process: BackendCatalog.Process
        let bytes: UInt64
        let hold: Hold
        /// When something was begun on it last.
        let lastUsed: Monotonic
    }

    enum Decision: Equatable, Sendable {
        case load
        /// Wait until others have ended.
        case wait
        /// Unload these, and then wait.
        case unload(Set<BackendCatalog.Process>)
        /// Nothing that will end by itself would make room; a sentence with the numbers.
        case refuse(String)
    }

    /// The memory for all models together.
    let bytes: UInt64
    private let explanation: String

    /// - Parameters:
    ///   - ownersBytes: what the owner allows all models; nil: half of the memory.
    ///   - heldBytes: what of the host's memory they have in use already. Their weights do not count: they are read-only pages of
    ///     files, which the kernel calls available.
    init(host: HostMemory, ownersBytes: UInt64?, heldBytes: UInt64) {
        let allowed = ownersBytes ?? host.totalBytes / 2
        let most = host.availableBytes &+ heldBytes
        let there = most > Self.reserveBytes ? most - Self.reserveBytes : 0
        bytes = min(allowed, there)
        explanation =
            there < allowed
            ? "\(Self.mebibytes(host.availableBytes)) MiB are available, of which "
                + "\(Self.mebibytes(Self.reserveBytes)) MiB stay free"
            : ownersBytes == nil
                ? "models may take half of the \(Self.mebibytes(host.totalBytes)) MiB that there are; --memory says another "
                    + "share"
                : "the owner allows models \(Self.mebibytes(allowed)) MiB"
    }

    func decide(needs wanted: UInt64, _ holders: [Holder]) -> Decision {
        func fits(beside kept: [Holder]) -> Bool {
            kept.reduce(wanted) { $0.addingReportingOverflow($1.bytes).overflow ? .max : $0 + $1.bytes } <= bytes
        }
        if fits(beside: holders) { return .load }
        var kept = holders.filter { $0.hold != .going }
        if fits(beside: kept) { return .wait }
        var unloaded: Set<BackendCatalog.Process> = []
        for holder in holders.filter({ $0.hold == .idle }).sorted(by: { $0.lastUsed < $1.lastUsed }) {
            unloaded.insert(holder.process)
            kept.removeAll { $0.process == holder.process }
            if fits(beside: kept) { return .unload(unloaded) }
        }
        let lasting = holders.filter { $0.hold == .forGood }
        guard !fits(beside: lasting) else { return .wait }
        let held = lasting.reduce(0) { $0 &+ $1.bytes }
        let free = bytes > held ? bytes - held : 0
        return .refuse(
            "it needs up to \(Self.mebibytes(wanted)) MiB of memory, and there are \(Self.mebibytes(free)) MiB for it: "
                + explanation)
    }

    private static func mebibytes(_ bytes: UInt64) -> UInt64 { bytes >> 20 }
}
