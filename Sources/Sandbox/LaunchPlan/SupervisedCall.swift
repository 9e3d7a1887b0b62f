package import SeccompFilter

/// System calls of one kind that a backend's filter denied or logged, as the keeper reports them
/// (`KeeperReport.supervised`).
package struct SupervisedCall: Equatable, Sendable {
    /// The first call of the kind. All of a kind have the same number and the same values of the arguments that the plan
    /// tells kinds apart by (`LaunchPlan.tellingArguments`).
    package var call: SystemCall
    /// The errno of the answer; 0: the call passed.
    package var errno: UInt16
    /// The number of such calls since the backend started.
    package var count: UInt64

    package init(_ call: SystemCall, errno: UInt16, count: UInt64) {
        self.call = call
        self.errno = errno
        self.count = count
    }

    /// The number in the record that counts all kinds beyond `LaunchPlan.Bounds.callKindsMax`.
    package static let otherKinds = UInt32.max

    /// Always 64 bytes.
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.integer(call.number)
        writer.integer(UInt32(errno))
        writer.integer(count)
        for index in 0..<6 { writer.integer(index < call.arguments.count ? call.arguments[index] : 0) }
        return writer.output
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        let number = try reader.integer(UInt32.self, "call")
        guard let errno = UInt16(exactly: try reader.integer(UInt32.self, "call")) else {
            throw RecordError("call: no errno")
        }
        let count = try reader.integer(UInt64.self, "call")
        var arguments: [UInt64] = []
        for _ in 0..<6 { arguments.append(try reader.integer(UInt64.self, "call")) }
        self.init(SystemCall(number, arguments), errno: errno, count: count)
    }
}
