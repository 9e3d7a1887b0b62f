import Dispatch
import EventLoop
import Foundation
import GRPC
import LinuxSystem
import Polling
import SwiftProtobuf

/// An input's first byte says what the rest is: bits 0 and 1 zero, all that the client sends; 1, what it sends after its
/// preface; otherwise a list of frames, each a type, flags, a stream, a length of one byte (two for types from 128 on) and
/// a payload. The client then closes its side, reads to the end, and the server must have forgotten it.
enum ConnectionTarget {
    /// A session that takes longer hangs.
    private static let patienceSeconds: UInt64 = 20
    /// What a server may send to a client that asked for so little.
    private static let answerBytesMax = 4 << 20
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]

    private enum FrameType {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
        static let continuation: UInt8 = 9
    }

    static var seeds: [[UInt8]] {
        let message: [UInt8] = [0, 0, 0, 0, 5, 0x0a, 3, 0x61, 0x62, 0x63]
        let unary = record(FrameType.headers, 4, 1, head("Unary")) + record(FrameType.data, 1, 1, message)
        let bidirectional =
            record(FrameType.headers, 4, 3, head("Echo")) + record(FrameType.data, 0, 3, message + message)
            + record(FrameType.data, 8, 3, [2] + message + [0, 0]) + record(FrameType.data, 1, 3, [])
        let cut =
            record(FrameType.headers, 0, 5, Array(head("Unary").prefix(20)))
            + record(FrameType.continuation, 4, 5, Array(head("Unary").dropFirst(20)))
            + record(FrameType.data, 0, 5, Array(message.prefix(3))) + record(FrameType.reset, 0, 5, [0, 0, 0, 8])
        let control =
            record(FrameType.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])
            + record(FrameType.settings, 0, 0, [0, 4, 0, 0, 0, 0])
            + record(FrameType.windowUpdate, 0, 0, [0, 0, 1, 0]) + record(2, 0, 1, [0, 0, 0, 3, 9])
            + record(FrameType.goAway, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])
        let refused =
            record(FrameType.headers, 5, 1, field(":method", "GET") + field(":path", "/") + field(":scheme", "http"))
            + record(FrameType.headers, 5, 3, head("Missing"))
        return [
            [2] + unary, [2] + bidirectional, [2] + unary + bidirectional, [2] + cut, [2] + control + unary,
            [2] + refused,
            [2] + unary + control, [1] + Array(preface.dropFirst(24)), [0] + preface,
            [0] + Array("GET / HTTP/1.1\r\n\r\n".utf8),
        ]
    }

    private static func record(_ type: UInt8, _ flags: UInt8, _ stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
        payload.count < 256
            ? [type, flags, stream, UInt8(payload.count)] + payload
            : [type | 128, flags, stream, UInt8(payload.count >> 8 & 255), UInt8(payload.count & 255)] + payload
    }

    private static func head(_ method: String) -> [UInt8] {
        field(":method", "POST") + field(":scheme", "http") + field(":path", "/fuzz.Service/\(method)")
            + field(":authority", "a") + field("content-type", "application/grpc") + field("te", "trailers")
            + field("grpc-accept-encoding", "gzip") + field("some-bin", "AAEC")
    }

    /// A literal field without indexing (RFC 7541, section 6.2.2).
    private static func field(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    private static func sent(_ input: [UInt8]) -> [UInt8] {
        var reader = InputReader(input)
        let mode = reader.byte() & 3
        guard mode >= 2 else { return (mode == 0 ? [] : preface) + reader.rest }
        var sent = preface
        while !reader.isAtEnd {
            let type = reader.byte()
            let (flags, stream) = (reader.byte(), reader.byte())
            let length = type < 128 ? Int(reader.byte()) : Int(reader.byte()) << 8 | Int(reader.byte())
            let payload = reader.bytes(length)
            sent += [UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 255), UInt8(payload.count & 255)]
            sent += [type & 127, flags, 0, 0, 0, stream] + payload
        }
        return sent
    }

    static func run(_ input: [UInt8]) throws {
        let host = try FuzzedServer.shared.get()
        let answer = try exchange(sent(input), with: host)
        try check(answer)
        try host.forgets()
    }

    /// Sends and reads at once, so that neither waits for the other for ever.
    private static func exchange(_ bytes: [UInt8], with host: FuzzedServer) throws -> [UInt8] {
        let socket = try Socket.connect(to: host.address)
        var answer: [UInt8] = []
        var rest = bytes[...]
        var isSending = true
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let deadline = Monotonic.now().advanced(milliseconds: patienceSeconds * 1_000)
        while true {
            while isSending {
                if rest.isEmpty {
                    Socket.shutdownSending(socket.raw)
                    isSending = false
                    break
                }
                // A server that has heard enough closes: what it said before that is still to be read.
                guard let step = try? rest.withUnsafeBytes({ try Socket.send(socket.raw, $0) }) else {
                    isSending = false
                    break
                }
                guard case .moved(let count) = step else { break }
                rest = rest.dropFirst(count)
            }
            do {
                switch try buffer.withUnsafeMutableBytes({ try Socket.receive(socket.raw, into: $0) }) {
                case .moved(let count): answer += buffer[..<count]
                case .ended: return answer
                case .wouldBlock:
                    let events: Readiness = isSending ? [.readable, .writable] : .readable
                    _ = try Poll.wait(socket.raw, for: events, nanoseconds: 1_000_000_000)
                }
            } catch let error as LinuxError where error.code == ECONNRESET {
                return answer
            }
            try promise(answer.count <= answerBytesMax, "the server sends without end")
            try promise(Monotonic.now() < deadline, "the server neither answers nor closes")
        }
    }

    /// Whole frames that begin with SETTINGS, none longer than a client accepts unasked (RFC 9113, section 4.2).
    private static func check(_ answer: [UInt8]) throws {
        var rest = answer[...]
        var isFirst = true
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            try promise(length <= 16_384, "a frame of \(length) bytes was sent")
            try promise(head[3] <= FrameType.continuation, "a frame of the type \(head[3]) was sent")
            try promise(!isFirst || head[3] == FrameType.settings, "the first frame is SETTINGS")
            isFirst = false
            rest = rest.dropFirst(9 + length)
        }
    }
}

/// The server that every session of this process meets.
struct FuzzedServer: Sendable {
    static let shared: Result<FuzzedServer, any Error> = onLoop { try FuzzedServer() }

    let address: SocketAddress
    private let server: Server

    @IOLoop
    private init() throws {
        let path = NSTemporaryDirectory() + "hearth-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
        server = Server()
        server.register(FuzzService())
        address = try server.listen(on: .unix(path: path))
        atexit { unlink(NSTemporaryDirectory() + "hearth-fuzz-\(ProcessInfo.processInfo.processIdentifier)") }
    }

    /// The end of a connection reaches its client a moment before the server has counted it.
    func forgets() throws {
        var left = (connections: 0, calls: 0)
        let isForgotten = try eventuallyBlocking(within: 10) {
            left = try FuzzedServer.onLoop { (server.openConnections, server.openCalls) }.get()
            return left == (0, 0)
        }
        try promise(isForgotten, "\(left.connections) connections and \(left.calls) calls stay behind")
    }

    private static func onLoop<Value: Sendable>(
        _ body: @escaping @IOLoop @Sendable () throws -> Value
    ) -> Result<Value, any Error> {
        let done = DispatchSemaphore(value: 0)
        // Proof: written before the semaphore is raised, read after it was waited for.
        nonisolated(unsafe) var result: Result<Value, any Error>?
        Task { @IOLoop in
            result = Result { try body() }
            done.signal()
        }
        done.wait()
        return result!
    }
}

private struct FuzzService: Service {
    typealias Message = Google_Protobuf_StringValue

    let name = "fuzz.Service"

    func method(_ name: String) -> Method? {
        switch name {
        case "Unary": .unary { (request: Message, _: CallContext) in request }
        case "Echo":
            .bidirectional { (requests: MessageStream<Message>, writer: ResponseWriter<Message>, _: CallContext) in
                for try await request in requests { try await writer.send(request) }
            }
        default: nil
        }
    }
}
