import Testing

@testable import GRPC

struct WaitingLineTests {
    @Test("Those go first that came first, without those that have left")
    func order() {
        var line = WaitingLine<String>()
        #expect(line.isEmpty)
        let first = line.append("a")
        _ = line.append("b")
        let third = line.append("c")
        _ = line.append("d")
        line.remove(third)
        var out = line.popFirst()
        #expect(out == "a")
        line.remove(first)
        out = line.popFirst()
        #expect(out == "b")
        #expect(!line.isEmpty)
        out = line.popFirst()
        #expect(out == "d")
        #expect(line.isEmpty)
        out = line.popFirst()
        #expect(out == nil)
    }

    @Test("Who has gone and comes again is at the end")
    func again() {
        var line = WaitingLine<String>()
        line.remove(line.append("a"))
        _ = line.append("b")
        _ = line.append("a")
        let out = [line.popFirst(), line.popFirst(), line.popFirst()]
        #expect(out == ["b", "a", nil])
    }
}
