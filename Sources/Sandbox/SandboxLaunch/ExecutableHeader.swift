/// The header of an executable: whether the kernel can run it here, and what it needs to start (elf(5)).
///
/// Pure; reads untrusted bytes within bounds.
struct ExecutableHeader: Equatable {
    /// The dynamic loader that it names; nil for a static executable.
    let interpreter: String?
    /// The end of the last loaded segment in the file: a shorter file is not whole.
    let segmentsEnd: UInt64

    /// Why a file cannot be a backend.
    enum Refusal: Error, Equatable {
        case script
        case notELF
        case otherArchitecture
        case damaged
    }

    /// How a script begins.
    static let scriptMark: [UInt8] = [0x23, 0x21]

    /// How much of the file is read: the headers are at its beginning.
    static let bytesRead = 64 * 1024

    #if arch(x86_64)
        private static let machine: UInt64 = 62
    #elseif arch(arm64)
        private static let machine: UInt64 = 183
    #endif

    init(_ bytes: [UInt8]) throws(Refusal) {
        if bytes.starts(with: Self.scriptMark) { throw .script }
        guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else { throw .notELF }
        // It must be a 64-bit, little-endian executable for this machine, position-independent or not.
        guard bytes.count >= 64, bytes[4] == 2, bytes[5] == 1,
            try ExecutableHeader.integer(bytes, at: 18, size: 2) == ExecutableHeader.machine
        else { throw .otherArchitecture }
        guard (2...3).contains(try ExecutableHeader.integer(bytes, at: 16, size: 2)) else { throw .notELF }
        interpreter = try ExecutableHeader.interpreter(bytes)
        segmentsEnd = try ExecutableHeader.programHeaders(bytes).filter { $0.type == 1 }
            .map { $0.offset.addingReportingOverflow($0.byteCount) }
            .reduce(0) { max($0, $1.overflow ? .max : $1.partialValue) }
    }

    private struct ProgramHeader {
        let type: UInt64
        let offset: UInt64
        let byteCount: UInt64
    }

    private static func programHeaders(_ bytes: [UInt8]) throws(Refusal) -> [ProgramHeader] {
        let start = try integer(bytes, at: 32, size: 8)
        let size = try integer(bytes, at: 54, size: 2)
        let count = try integer(bytes, at: 56, size: 2)
        guard size >= 56 else { throw .damaged }
        var headers: [ProgramHeader] = []
        for number in 0..<count {
            let entry = start.addingReportingOverflow(number * size)
            guard !entry.overflow else { throw .damaged }
            headers.append(
                ProgramHeader(
                    type: try integer(bytes, at: entry.partialValue, size: 4),
                    offset: try integer(bytes, at: entry.partialValue + 8, size: 8),
                    byteCount: try integer(bytes, at: entry.partialValue + 32, size: 8)))
        }
        return headers
    }

    /// The text of the program header of type PT_INTERP, if there is one.
    private static func interpreter(_ bytes: [UInt8]) throws(Refusal) -> String? {
        guard let header = try programHeaders(bytes).first(where: { $0.type == 3 }) else { return nil }
        guard header.byteCount <= 4096, header.offset <= UInt64(bytes.count),
            header.byteCount <= UInt64(bytes.count) - header.offset
        else { throw .damaged }
        let text = bytes[Int(header.offset)..<Int(header.offset + header.byteCount)].prefix { $0 != 0 }
        return String(decoding: text, as: UTF8.self)
    }

    private static func integer(_ bytes: [UInt8], at offset: UInt64, size: Int) throws(Refusal) -> UInt64 {
        guard offset <= UInt64(bytes.count), size <= bytes.count - Int(offset) else { throw .damaged }
        return bytes[Int(offset)..<Int(offset) + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
