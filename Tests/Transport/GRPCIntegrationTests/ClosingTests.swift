import EventLoop
import Foundation
import GRPC
import HTTP2Connection
import LinuxSystem
import Testing

/// What a peer learns that is cut off while it still sends, and what it costs.
@Suite(.timeLimit(.minutes(1)))
struct ClosingTests {
    /// Ends the connection, by name.
    private static let attack =
        Frame.preface + Frame.settings() + Frame.settings((0..<33).map { (0x2a00 + $0, 1) })
    /// What its sender does not look up from, with one frame's head: more than the server reads at once.
    private static let rest = [UInt8](repeating: 0, count: 3 << 20)

    /// What the server said before it said that nothing follows; throws when the kernel has reset the connection.
    private static func readToEnd(_ socket: borrowing RawSocket) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let some = try socket.readSome()
            if some.isEmpty { return bytes }
            bytes += some
        }
    }

    @Test(
        "Whoever is cut off in the middle of sending reads why, to the end, and is not reset",
        arguments: [Path.plaintext, .unix])
    func readsWhy(_ path: Path) async throws {
        var limits = Limits()
        limits.http2.closingMilliseconds = 60_000
        try await withServer(path, limits: limits) { server in
            let address = server.address
            let answer = try await Task.detached {
                let socket = try RawSocket(to: address)
                try socket.send(Self.attack + Self.rest)
                return try Self.readToEnd(socket)
            }.value
            #expect(Frame.goAways(in: answer).first?.debugData.hasPrefix("settingsEntriesMax") == true)
            // It takes no part in what bounds connections.
            while await server.server.openConnections > 0 { await Task.yield() }
        }
    }

    /// Sends until the kernel says that nobody reads any more.
    private static func isClosedWhileSending(_ socket: borrowing RawSocket) -> Bool {
        while true {
            do { try socket.send([UInt8](repeating: 0, count: 1_000)) } catch { return true }
        }
    }

    /// How reading on comes to an end.
    enum Bound: CaseIterable {
        case time, bytes
    }

    @Test("That ends after a while, or after so many bytes", arguments: Bound.allCases)
    func bounds(_ bound: Bound) async throws {
        var limits = Limits()
        limits.http2.closingMilliseconds = bound == .time ? 50 : 60_000
        limits.http2.closingBytesMax = bound == .bytes ? 1 << 20 : .max
        try await withServer(limits: limits) { server in
            let address = server.address
            let isClosed = try await Task.detached {
                let socket = try RawSocket(to: address)
                try socket.send(Self.attack)
                return Self.isClosedWhileSending(socket)
            }.value
            #expect(isClosed)
        }
    }

    @Test("Of too many of them the oldest is closed")
    func tooMany() async throws {
        var limits = Limits()
        limits.http2.closingMilliseconds = 60_000
        limits.http2.closingBytesMax = .max
        limits.http2.closingConnectionsMax = 2
        try await withServer(limits: limits) { server in
            let address = server.address
            try await Task.detached {
                let sockets = try (0..<3).map { _ in RawSocketBox(try RawSocket(to: address)) }
                for box in sockets {
                    try box.socket.send(Self.attack)
                    _ = try Self.readToEnd(box.socket)
                }
                let isClosed = Self.isClosedWhileSending(sockets[0].socket)
                #expect(isClosed)
                // The others are still read.
                for box in sockets[1...] { try box.socket.send(Self.rest) }
            }.value
        }
    }
}
