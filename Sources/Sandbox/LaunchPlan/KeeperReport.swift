package import LinuxSystem

/// A report of a backend's keeper to the agent, on a socket that the backend does not have, so that no output or exit
/// status of a backend can pass for one. Each is one datagram: a byte for the kind, and then always the same parts.
package enum KeeperReport: Equatable, Sendable {
    /// The backend was executed, with every layer around it.
    case started
    /// The launch failed, and the launcher ends: one line with the layer, the failure and the remedy, cut to
    /// `reasonBytesMax` bytes. Transient: the machine lacked something for the moment, and the same launch may succeed
    /// later without a repair.
    case failed(reason: String, isTransient: Bool)
    /// Calls that the filter denied or logged; sent when a kind is new or its count has grown.
    case supervised(SupervisedCall)
    /// The answer to `freeze`: nothing of the backend runs any more.
    case frozen
    /// The answer to `thaw`.
    case thawed
    /// The backend has ended: how, and the resources that it had used. This is the last report.
    case ended(ExitStatus, ResourceUse)

    package static let byteCountMax = 4096
    package static let reasonBytesMax = 2048

    package func encoded() -> [UInt8] {
        var writer = RecordWriter()
        switch self {
        case .started: writer.integer(UInt8(1))
        case .failed(let reason, let isTransient):
            writer.integer(UInt8(2))
            writer.integer(UInt8(isTransient ? 1 : 0))
            writer.string(String(decoding: reason.utf8.prefix(KeeperReport.reasonBytesMax), as: UTF8.self))
        case .supervised(let call):
            writer.integer(UInt8(3))
            writer.raw(call.encoded())
        case .frozen: writer.integer(UInt8(4))
        case .thawed: writer.integer(UInt8(5))
        case .ended(let status, let use):
            writer.integer(UInt8(6))
            switch status {
            case .exited(let code):
                writer.integer(UInt8(0))
                writer.integer(UInt8(clamping: code))
            case .signalled(let signal):
                writer.integer(UInt8(1))
                writer.integer(UInt8(clamping: signal))
            }
            writer.integer(use.processorMicroseconds)
            writer.integer(use.memoryBytes)
        }
        return writer.output
    }

    /// Reads one whole datagram. Throws for anything that no keeper sends.
    package init(decoding bytes: [UInt8]) throws(RecordError) {
        guard bytes.count <= KeeperReport.byteCountMax else { throw RecordError("report: too long") }
        var reader = RecordReader(input: bytes)
        switch try reader.integer(UInt8.self, "report") {
        case 1: self = .started
        case 2:
            let isTransient = try reader.flag("report")
            self = .failed(reason: try reader.string("report"), isTransient: isTransient)
        case 3: self = .supervised(try SupervisedCall(from: &reader))
        case 4: self = .frozen
        case 5: self = .thawed
        case 6:
            let isSignal = try reader.flag("report")
            let number = CInt(try reader.integer(UInt8.self, "report"))
            guard !isSignal || (1...64).contains(number) else { throw RecordError("report: signal \(number)") }
            let use = ResourceUse(
                processorMicroseconds: try reader.integer(UInt64.self, "report"),
                memoryBytes: try reader.integer(UInt64.self, "report"))
            self = .ended(isSignal ? .signalled(number) : .exited(number), use)
        case let kind: throw RecordError("report: of the unknown kind \(kind)")
        }
        guard reader.isAtEnd else { throw RecordError("report: bytes follow it") }
    }
}
