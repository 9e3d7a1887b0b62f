package import WireFormat

/// The tokens of one sequence in one step, in place: its slices point into the frame (or the encoder's buffers) and are
/// valid as long as those are. It has only numbers and pointers, so that it is copied without counting references,
/// because a token may be a run of its own. Decoding allocates nothing unless there is a fault.
package struct TokenRunView {
    package private(set) var sequence: UInt32 = 0
    /// Whether it has ids and text only, as nearly all runs have, and perhaps a `finish`.
    package private(set) var isPlain = true
    /// How many ids `packedTokenIDs` holds.
    package var tokenCount = 0
    /// One varint after the other: the content of a packed `repeated uint32`, fit to be copied into another message.
    package var packedTokenIDs = UnsafeRawBufferPointer(start: nil, count: 0)
    /// UTF-8 that may begin or end inside a scalar.
    package var text = UnsafeRawBufferPointer(start: nil, count: 0)
    /// What `rare` is decoded from. Of what most runs do not have start and length are apart, because the lengths fit beside
    /// each other.
    private var rareStart: UnsafeRawPointer?
    /// The bytes that `finish` is decoded from; they have been decoded once before, without an error. Nil: it is not the last
    /// run of its sequence.
    package private(set) var finishStart: UnsafeRawPointer?
    private var finishBytes: UInt32 = 0
    private var rareBytes: UInt32 = 0
    /// Bytes of fields that this revision does not know.
    package private(set) var unknownBytes: UInt32 = 0

    /// The most bytes of unknown fields in a run of any length.
    private static let unknownBytesMax = 16 * ContractLimits.unknownBytesMax

    /// Makes a run that is not the last of its sequence. `rare`: the fields of a `TokenRun` that a `RareParts` encodes.
    package init(
        sequence: UInt32, tokenCount: Int = 0,
        packedTokenIDs: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        text: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        rare: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        self.sequence = sequence
        self.tokenCount = tokenCount
        self.packedTokenIDs = packedTokenIDs
        self.text = text
        isPlain = rare.isEmpty
        setRare(rare)
    }

    /// What it has beside ids and text, decoded anew each time.
    package var rare: RareParts {
        isPlain ? RareParts() : RareParts(decoding: UnsafeRawBufferPointer(start: rareStart, count: Int(rareBytes)))
    }

    private mutating func setRare(_ bytes: UnsafeRawBufferPointer) {
        // A frame is shorter than 32 bits count.
        (rareStart, rareBytes) = (bytes.baseAddress, UInt32(truncatingIfNeeded: bytes.count))
    }

    /// How the sequence ended, decoded anew each time; nil before its last run.
    package var finish: Finish? {
        finishStart.flatMap { try? Finish(decoding: UnsafeRawBufferPointer(start: $0, count: Int(finishBytes))) }
    }

    /// Inlined into its one caller on the token path, which saves copies of the run.
    @inline(__always)
    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        var unknown = UnknownFields()
        // Stricter than protobuf, which takes the last of several: a repeated field is useless work.
        var seen: UInt8 = 0
        while true {
            let start = reader.position
            guard let field = try reader.next() else { break }
            switch (field.number, field.type) {
            case (1, .varint):
                if seen & 1 != 0 { throw .repeated(field: 1) }
                seen |= 1
                sequence = try reader.uint32()
            case (2, .bytes):
                if seen & 2 != 0 { throw .notPacked(field: 2) }
                seen |= 2
                packedTokenIDs = try reader.bytes()
                tokenCount = try Self.countPacked(packedTokenIDs)
            // An unpacked list is not contiguous in the frame, so it could not be passed on as it is.
            case (2, _): throw .notPacked(field: 2)
            case (3, .bytes):
                if seen & 4 != 0 { throw .repeated(field: 3) }
                seen |= 4
                text = try reader.bytes()
            case (4, .bytes):
                if finishStart != nil { throw .repeated(field: 4) }
                let content = try reader.bytes()
                guard content.count <= ContractLimits.messageBytesMax else {
                    throw .unknownFields(byteCountMax: ContractLimits.messageBytesMax)
                }
                _ = try Finish(decoding: content)
                // An empty one has an address too: that behind its length.
                finishStart = content.baseAddress
                finishBytes = UInt32(truncatingIfNeeded: content.count)
            case (5, .bytes), (6, .bytes), (7, .bytes):
                let bit: UInt8 = 8 << UInt8(truncatingIfNeeded: field.number &- 5)
                if seen & bit != 0 { throw .repeated(field: field.number) }
                seen |= bit
                try reader.skip(field.type)
            default: try unknown.skip(field, from: start, in: &reader, max: Self.unknownBytesMax)
            }
        }
        unknownBytes = UInt32(truncatingIfNeeded: unknown.byteCount)
        if seen >= 8 {
            isPlain = false
            setRare(bytes)
        }
    }

    /// Counts the ids and checks that each is a whole varint of at most 32 bits.
    static func countPacked(_ packed: UnsafeRawBufferPointer) throws(WireError) -> Int {
        var count = 0
        // The bytes of the current id so far whose continuation bit is set.
        var continued = 0
        for byte in packed {
            if byte >= 0x80 {
                continued &+= 1
                if continued > 4 { throw .varintTooLong }
            } else {
                // The fifth byte has room for four bits.
                if continued == 4, byte > 0x0f { throw .varintTooLong }
                count &+= 1
                continued = 0
            }
        }
        guard continued == 0 else { throw .truncated }
        return count
    }

    /// Visits the ids in order.
    package func forEachTokenID(_ body: (UInt32) -> Void) {
        var reader = WireReader(packedTokenIDs)
        while !reader.isAtEnd, let id = try? reader.uint32() { body(id) }
    }

    /// The ids, copied; not for the token path.
    package var tokenIDs: [UInt32] {
        var ids: [UInt32] = []
        ids.reserveCapacity(tokenCount)
        forEachTokenID { ids.append($0) }
        return ids
    }
}
