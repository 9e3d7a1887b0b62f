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

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch try rest.withUnsafeBytes({ try Socket.send(socket.raw, $0) }) {
            case .moved(let count): rest = rest.dropFirst(count)
            case .wouldBlock, .ended: return
            }
        }
    }

    /// Reads until the server closes; what it sent. Throws when it reset the connection.
    func readToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while case .moved(let count) = try buffer.withUnsafeMutableBytes({ try Socket.receive(socket.raw, into: $0) }) {
            bytes += buffer[..<count]
        }
        return bytes
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

    static func ping() -> [UInt8] { make(type: 6, [1, 2, 3, 4, 5, 6, 7, 8]) }
    static func reset(stream: UInt32) -> [UInt8] { make(type: 3, stream: stream, bytes(8)) }
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

    static func continuation(stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
        make(type: 9, stream: stream, payload)
    }

    /// A literal field without indexing (RFC 7541, section 6.2.2); names and values below 127 bytes.
    static func field(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    /// The GOAWAY frames in what a server sent.
    static func goAways(in bytes: [UInt8]) -> [GoAway] {
        frames(in: bytes).filter { $0.type == 7 && $0.payload.count >= 8 }.map { frame in
            GoAway(
                code: HTTP2ErrorCode(rawValue: frame.payload[4..<8].reduce(0) { $0 << 8 | UInt32($1) }),
                debugData: String(decoding: frame.payload[8...], as: UTF8.self))
        }
    }

    /// The error codes of the GOAWAY frames in what a server sent.
    static func goAwayCodes(in bytes: [UInt8]) -> [UInt32] { goAways(in: bytes).map(\.code.rawValue) }

    /// The types of all frames in what a server sent.
    static func types(in bytes: [UInt8]) -> [UInt8] { frames(in: bytes).map(\.type) }

    private static func frames(in bytes: [UInt8]) -> [(type: UInt8, payload: [UInt8])] {
        var found: [(type: UInt8, payload: [UInt8])] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let frame = Array(rest.prefix(9))
            let count = Int(frame[0]) << 16 | Int(frame[1]) << 8 | Int(frame[2])
            found.append((frame[3], Array(rest.dropFirst(9).prefix(count))))
            rest = rest.dropFirst(9 + count)
        }
        return found
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        [UInt8(number >> 24), UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)]
    }
}

/// A GOAWAY frame, without its last stream.
struct GoAway: Equatable {
    var code: HTTP2ErrorCode
    var debugData: String
}
