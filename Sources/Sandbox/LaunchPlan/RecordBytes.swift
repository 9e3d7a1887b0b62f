/// Appends the parts of a plan, or of a report.
struct RecordWriter {
    private(set) var output: [UInt8] = []

    mutating func integer<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { output.append(contentsOf: $0) }
    }

    mutating func raw(_ value: some Collection<UInt8>) { output.append(contentsOf: value) }

    mutating func bytes(_ value: some Collection<UInt8>) {
        integer(UInt32(value.count))
        output.append(contentsOf: value)
    }

    mutating func string(_ value: String) { bytes(value.utf8) }

    mutating func strings(_ values: [String]) {
        integer(UInt32(values.count))
        for value in values { string(value) }
    }
}

/// Reads the parts of a plan or a report in order; its errors name the part that is truncated or too long.
struct RecordReader {
    private let input: [UInt8]
    private var position = 0

    init(input: [UInt8]) { self.input = input }

    var isAtEnd: Bool { position == input.count }

    mutating func integer<Value: FixedWidthInteger>(_: Value.Type, _ part: String) throws(RecordError) -> Value {
        let taken = try take(MemoryLayout<Value>.size, part)
        let value = input.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: taken.lowerBound, as: Value.self) }
        return Value(littleEndian: value)
    }

    mutating func flag(_ part: String) throws(RecordError) -> Bool {
        switch try integer(UInt8.self, part) {
        case 0: return false
        case 1: return true
        case let value: throw RecordError("\(part): \(value) is neither yes nor no")
        }
    }

    mutating func bytes(_ part: String, max: Int) throws(RecordError) -> [UInt8] {
        let length = Int(try integer(UInt32.self, part))
        guard length <= max else { throw RecordError("\(part): \(length) bytes; at most \(max)") }
        return Array(input[try take(length, part)])
    }

    mutating func string(_ part: String) throws(RecordError) -> String {
        let utf8 = try bytes(part, max: LaunchPlan.Bounds.stringBytesMax)
        guard let text = String(validating: utf8, as: UTF8.self) else { throw RecordError("\(part): not UTF-8") }
        return text
    }

    mutating func count(_ part: String) throws(RecordError) -> Int {
        let count = Int(try integer(UInt32.self, part))
        guard count <= LaunchPlan.Bounds.listCountMax else {
            throw RecordError("\(part): \(count) entries; at most \(LaunchPlan.Bounds.listCountMax)")
        }
        return count
    }

    mutating func strings(_ part: String) throws(RecordError) -> [String] {
        var values: [String] = []
        for _ in 0..<(try count(part)) { values.append(try string(part)) }
        return values
    }

    private mutating func take(_ count: Int, _ part: String) throws(RecordError) -> Range<Int> {
        guard count <= input.count - position else { throw RecordError("\(part): cut short") }
        defer { position += count }
        return position..<(position + count)
    }
}

/// A plan or a report that cannot be written or read: the part, and the reason.
package struct RecordError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
