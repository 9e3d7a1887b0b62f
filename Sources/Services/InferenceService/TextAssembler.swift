internal import BackendIPC
internal import WireFormat

/// Turns the bytes of tokens into text that may be sent: whole UTF-8 scalars, nothing of a stop string.
///
/// Bytes that are no UTF-8 become U+FFFD, one for each maximal part of a scalar, as `UTF8Text` tells them apart. The
/// text that it holds back is bounded by three bytes of a scalar and the longest stop string.
struct TextAssembler {
    /// The text that some bytes gave.
    enum Output: Equatable {
        /// The bytes given are text and may be sent as they are.
        case asGiven
        /// This may be sent instead; it may be empty.
        case text([UInt8])
        /// This may be sent, and then a stop, named by its place, was met: the text is complete.
        case stopped([UInt8], stop: Int)
    }

    private static let replacement: [UInt8] = [0xef, 0xbf, 0xbd]

    private var stops: StopMatcher
    /// The beginning of a scalar whose end has not come.
    private(set) var tail: [UInt8] = []
    /// Text that may turn out to begin a stop.
    private(set) var held: [UInt8] = []

    init(stops: [String]) { self.stops = StopMatcher(stops) }

    /// One that has held this back. Nil where one that looks for these strings would not have.
    init?(stops: [String], tail: [UInt8], held: [UInt8]) {
        self.init(stops: stops)
        guard tail.count < 4, held.allSatisfy({ self.stops.feed($0) == nil }), self.stops.heldCount == held.count else {
            return nil
        }
        self.tail = tail
        self.held = held
    }

    /// Whether it looks for strings.
    var looksForStops: Bool { !stops.isEmpty }

    mutating func append(_ bytes: UnsafeRawBufferPointer) -> Output {
        if stops.isEmpty, tail.isEmpty, UTF8Text.isValid(bytes) { return .asGiven }
        return pass(wellFormed(tail + bytes, isLast: false), isLast: false)
    }

    /// Returns the text that was held back, once no more bytes come.
    mutating func finish() -> [UInt8] {
        let rest = wellFormed(tail, isLast: true)
        switch pass(rest, isLast: true) {
        case .asGiven: return rest
        case .text(let text), .stopped(let text, _): return text
        }
    }

    private mutating func wellFormed(_ bytes: [UInt8], isLast: Bool) -> [UInt8] {
        var text: [UInt8] = []
        tail = []
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let prefix = UTF8Text.prefix(of: UnsafeRawBufferPointer(rebasing: rest))
                text.append(contentsOf: rest.prefix(prefix.byteCount))
                rest = rest.dropFirst(prefix.byteCount)
                switch prefix.rest {
                case .nothing: return
                case .unfinished where !isLast:
                    tail = Array(rest)
                    return
                case .unfinished:
                    text.append(contentsOf: TextAssembler.replacement)
                    return
                case .invalid(let byteCount):
                    text.append(contentsOf: TextAssembler.replacement)
                    rest = rest.dropFirst(byteCount)
                }
            }
        }
        return text
    }

    private mutating func pass(_ text: [UInt8], isLast: Bool) -> Output {
        if stops.isEmpty { return .text(text) }
        for byte in text {
            held.append(byte)
            if let stop = stops.feed(byte) {
                held.removeLast(stops.byteCount(of: stop))
                return .stopped(held, stop: stop)
            }
        }
        let kept = isLast ? 0 : stops.heldCount
        let free = Array(held.dropLast(kept))
        held.removeFirst(free.count)
        return .text(free)
    }
}
