import Foundation
import HTTP2Connection
import LinuxSystem

/// A socket that speaks HTTP/2 frame by frame, for peers that misbehave. Blocking, off the loop.
struct RawSocket: ~Copyable {
    private let socket: Descriptor

    init(to address: SocketAddress) throws {
        let connecting = try Socket.connect(to: address)
        try connecting.setNonblocking(false)
        socket = connecting
    }

    /// The server's end.
    init(accepted: consuming Descriptor) throws {
        try accepted.setNonblocking(false)
        socket = accepted
    }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch try rest.withUnsafeBytes({ try Socket.send(socket.raw, $0) }) {
            case .moved(let count): rest = rest.dropFirst(count)
            case .wouldBlock, .ended: return
            }
        }
    }

    /// Nothing follows; what the server sends can still be read.
    func finishSending() { Socket.shutdownSending(socket.raw) }

    /// Reads until what came in this call is enough; throws when the server closes before that.
    func readUntil(_ isEnough: ([UInt8]) -> Bool) throws {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while !isEnough(bytes) {
            guard
                case .moved(let count) = try buffer.withUnsafeMutableBytes({ try Socket.receive(socket.raw, into: $0) })
            else { throw Closed() }
            bytes += buffer[..<count]
        }
    }

    struct Closed: Error {}

    /// Nothing more is sent; the server sees the end.
    func close() { Socket.shutdownSending(socket.raw) }

    /// Reads until the server closes; what it sent. What had come before the kernel reset the connection counts: a server
    /// that closes while more comes resets it (tcp(7)).
    func readToEnd() -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while case .moved(let count)? = try? buffer.withUnsafeMutableBytes({ try Socket.receive(socket.raw, into: $0) })
        {
            bytes += buffer[..<count]
        }
        return bytes
    }

    /// Reads one piece of what the server sent.
    func readSome() throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        guard case .moved(let count) = try buffer.withUnsafeMutableBytes({ try Socket.receive(socket.raw, into: $0) })
        else { return [] }
        return Array(buffer[..<count])
    }
}

/// The frames of RFC 9113, section 6, byte by byte.
enum Frame {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func make(type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
            + bytes(stream) + payload
    }

    static func settings(_ values: [(UInt16, UInt32)] = []) -> [UInt8] {
        make(type: 4, values.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] + bytes($1) })
    }

    static func ping(isAcknowledgement: Bool = false) -> [UInt8] {
        make(type: 6, flags: isAcknowledgement ? 1 : 0, [1, 2, 3, 4, 5, 6, 7, 8])
    }

    static func settingsAcknowledgement() -> [UInt8] { make(type: 4, flags: 1) }
    static func goAway() -> [UInt8] { make(type: 7, bytes(0) + bytes(0)) }
    /// The acknowledgement of a PING of ours, by its purpose (`PingPurpose`, in this machine's order of bytes).
    static func pingAnswer(to purpose: UInt8) -> [UInt8] {
        make(type: 6, flags: 1, [purpose, 0, 0, 0, 0, 0, 0, 0])
    }
    static func reset(stream: UInt32, _ code: HTTP2ErrorCode = .cancel) -> [UInt8] {
        make(type: 3, stream: stream, bytes(code.rawValue))
    }
    static func priority(stream: UInt32) -> [UInt8] { make(type: 2, stream: stream, bytes(0) + [1]) }
    static func windowUpdate(stream: UInt32, _ count: UInt32) -> [UInt8] { make(type: 8, stream: stream, bytes(count)) }

    static func data(stream: UInt32, _ payload: [UInt8] = [], end: Bool = false) -> [UInt8] {
        make(type: 0, flags: end ? 1 : 0, stream: stream, payload)
    }

    /// A request's header list, or the first part of one.
    static func headers(stream: UInt32, _ path: String, more: Bool = false) -> [UInt8] {
        let fields = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ]
        return make(type: 1, flags: more ? 0 : 4, stream: stream, fields.flatMap { field($0, $1) })
    }

    static func continuation(stream: UInt32, _ payload: [UInt8] = [], end: Bool = false) -> [UInt8] {
        make(type: 9, flags: end ? 4 : 0, stream: stream, payload)
    }

    /// A literal field, without indexing (RFC 7541, section 6.2.2) or put into the dynamic table (6.2.1).
    static func field(_ name: String, _ value: String, indexed: Bool = false) -> [UInt8] {
        [indexed ? 0x40 : 0] + length(name) + Array(name.utf8) + length(value) + Array(value.utf8)
    }

    /// An integer with a prefix of seven bits (RFC 7541, section 5.1).
    private static func length(_ text: String) -> [UInt8] {
        var rest = text.utf8.count
        guard rest >= 127 else { return [UInt8(rest)] }
        var bytes: [UInt8] = [127]
        rest -= 127
        while rest >= 128 {
            bytes.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// A frame that a server sent.
    struct Received {
        let type: UInt8
        let flags: UInt8
        let stream: UInt32
        let payload: [UInt8]

        /// Of RST_STREAM.
        var resetCode: HTTP2ErrorCode? { type == 3 ? HTTP2ErrorCode(rawValue: Frame.number(payload.prefix(4))) : nil }
    }

    /// The whole frames in what a server sent.
    static func all(in bytes: [UInt8]) -> [Received] {
        var frames: [Received] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let header = Array(rest.prefix(9))
            let count = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
            let payload = Array(rest.dropFirst(9).prefix(count))
            guard payload.count == count else { break }
            frames.append(Received(type: header[3], flags: header[4], stream: number(header[5...]), payload: payload))
            rest = rest.dropFirst(9 + count)
        }
        return frames
    }

    /// The GOAWAY frames in what a server sent.
    static func goAways(in bytes: [UInt8]) -> [GoAway] {
        all(in: bytes).filter { $0.type == 7 && $0.payload.count >= 8 }.map { frame in
            GoAway(
                code: HTTP2ErrorCode(rawValue: number(frame.payload[4..<8])),
                debugData: String(decoding: frame.payload[8...], as: UTF8.self))
        }
    }

    /// The error codes of the GOAWAY frames in what a server sent.
    static func goAwayCodes(in bytes: [UInt8]) -> [UInt32] { goAways(in: bytes).map(\.code.rawValue) }

    /// The types of all frames in what a server sent.
    static func types(in bytes: [UInt8]) -> [UInt8] { all(in: bytes).map(\.type) }

    private static func number(_ bytes: some Collection<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        [UInt8(number >> 24), UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)]
    }
}

/// A GOAWAY frame, without its last stream.
struct GoAway: Equatable {
    var code: HTTP2ErrorCode
    var debugData: String
}
