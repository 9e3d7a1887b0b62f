import LinuxSystem
import Testing

struct DatagramTests {
    @Test("what was sent in one piece comes in one piece, in its order, and then nothing, and then the end")
    func pieces() throws {
        let pair = try Socket.datagramPair()
        let (first, second) = pair.take { ($0.release(), $1.release()) }
        let end = Descriptor(owning: second)
        do {
            let begin = Descriptor(owning: first)
            #expect(try Socket.sendDatagram(begin.raw, [1, 2, 3], waits: true))
            #expect(try Socket.sendDatagram(begin.raw, [4], waits: false))
            #expect(try Socket.receiveDatagram(end.raw, max: 3) == .received([1, 2, 3]))
            #expect(try Socket.receiveDatagram(end.raw, max: 3) == .received([4]))
            #expect(try Socket.receiveDatagram(end.raw, max: 3) == .nothing)
            #expect(try Socket.sendDatagram(begin.raw, [1, 2, 3, 4, 5], waits: true))
            #expect(try Socket.receiveDatagram(end.raw, max: 3) == .received([1, 2, 3, 4]), "one byte too many")
            #expect(try Socket.receiveDatagram(end.raw, max: 3) == .nothing, "of the rest there is nothing")
        }
        #expect(try Socket.receiveDatagram(end.raw, max: 3) == .ended)
        #expect(throws: LinuxError.self) { try Socket.sendDatagram(end.raw, [1], waits: true) }
    }

    @Test("what does not fit is not sent, and all that was sent is there")
    func full() throws {
        let pair = try Socket.datagramPair()
        let (begin, end) = (pair.first.raw, pair.second.raw)
        var sent = 0
        while try Socket.sendDatagram(begin, [UInt8](repeating: 7, count: 65), waits: false) { sent += 1 }
        #expect(sent > 100)
        var received = 0
        while case .received(let bytes) = try Socket.receiveDatagram(end, max: 100) {
            #expect(bytes.count == 65)
            received += 1
        }
        #expect(received == sent)
        #expect(try Socket.sendDatagram(begin, [1], waits: false))
        _ = consume pair
    }
}
