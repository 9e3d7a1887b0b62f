/// What the launcher tells the agent on `LaunchDescriptor.report`, a pipe that the backend does not have: so nothing that a
/// backend writes or exits with can pass for it.
package enum LaunchReport: Equatable, Sendable {
    /// Calls that the filter denied or logged; sent each time that a kind is new or its count has grown.
    case supervised(SupervisedCall)
    /// The launcher could not do its work, and ends.
    case failed(LaunchVerdict)

    /// The most bytes of one record: PIPE_BUF, so that it arrives whole or not at all (pipe(7)).
    package static let byteCountMax = 4096

    /// The whole record's length, and what it is.
    private static let headerByteCount = 8

    /// The record as it is written, in one piece.
    package func encoded() -> [UInt8] {
        var content = PlanWriter()
        let kind: UInt32
        switch self {
        case .supervised(let call):
            kind = 1
            content.raw(call.encoded())
        case .failed(let verdict):
            kind = 2
            content.integer(UInt32(verdict.isTransient ? 1 : 0))
            content.integer(UInt32(verdict.hasBegun ? 1 : 0))
            content.string(String(decoding: verdict.reason.utf8.prefix(LaunchVerdict.reasonBytesMax), as: UTF8.self))
        }
        var record = PlanWriter()
        record.integer(UInt32(LaunchReport.headerByteCount + content.output.count))
        record.integer(kind)
        record.raw(content.output)
        return record.output
    }

    private init(_ kind: UInt32, _ content: [UInt8]) throws(LaunchPlanError) {
        switch kind {
        case 1:
            guard let call = SupervisedCall(decoding: content) else { throw LaunchPlanError("report: a damaged call") }
            self = .supervised(call)
        case 2:
            var reader = PlanReader(input: content)
            let isTransient = try reader.integer(UInt32.self, "verdict") != 0
            let hasBegun = try reader.integer(UInt32.self, "verdict") != 0
            self = .failed(
                LaunchVerdict(try reader.string("verdict"), isTransient: isTransient, hasBegun: hasBegun))
        default: throw LaunchPlanError("report: a record of an unknown kind")
        }
    }

    /// Puts the records together again from what the pipe gives. A plain value.
    package struct Reader {
        private var waiting: [UInt8] = []

        package init() {}

        package mutating func append(_ bytes: some Collection<UInt8>) { waiting.append(contentsOf: bytes) }

        /// The next whole record; nil when more must be read first. Throws for what no launcher writes; then the rest means
        /// nothing.
        package mutating func next() throws(LaunchPlanError) -> LaunchReport? {
            guard waiting.count >= LaunchReport.headerByteCount else { return nil }
            var header = PlanReader(input: Array(waiting.prefix(LaunchReport.headerByteCount)))
            let byteCount = Int(try header.integer(UInt32.self, "report"))
            let kind = try header.integer(UInt32.self, "report")
            guard (LaunchReport.headerByteCount...LaunchReport.byteCountMax).contains(byteCount) else {
                throw LaunchPlanError("report: a record of \(byteCount) bytes")
            }
            guard waiting.count >= byteCount else { return nil }
            let content = Array(waiting[LaunchReport.headerByteCount..<byteCount])
            waiting.removeFirst(byteCount)
            return try LaunchReport(kind, content)
        }
    }
}

/// Why the launcher could not do its work.
package struct LaunchVerdict: Error, Equatable, Sendable, CustomStringConvertible {
    /// One line: the layer, what failed, and what to do about it. At most `reasonBytesMax` bytes of it are told.
    package let reason: String
    /// The machine lacked something for the moment: the same launch may succeed later, though nobody mends anything.
    package let isTransient: Bool
    /// The backend ran already.
    package let hasBegun: Bool

    package static let reasonBytesMax = 2048

    package init(_ reason: String, isTransient: Bool, hasBegun: Bool = false) {
        self.reason = reason
        self.isTransient = isTransient
        self.hasBegun = hasBegun
    }

    package var description: String { reason }
}
