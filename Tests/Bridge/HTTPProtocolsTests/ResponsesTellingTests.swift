import HTTPProtocols
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import Testing

struct ResponsesTellingTests {
    private let failure = HTTPFailure(503, type: "server_error", "the agent has gone")
    private let now = Monotonic(nanoseconds: 1)

    private func stored(_ ids: String...) throws -> StoredResponses {
        var stored = StoredResponses()
        for id in ids { try insert(id, in: &stored) }
        return stored
    }

    private func insert(_ id: String, in stored: inout StoredResponses) throws {
        let request = try ResponsesRequest(Array(#"{"model": "m", "input": "Hi", "background": true}"#.utf8))
        try stored.insert(
            StoredResponse(request, AnswerStamp(id: id, created: 5), bodyBytes: 100), of: [1], at: now)
        _ = stored.receive(.with { $0.accepted.model = "m" }, of: "resp_\(id)", at: now)
    }

    private func say(_ count: Int, _ id: String, in stored: inout StoredResponses) {
        for _ in 0..<count { _ = stored.receive(.with { $0.delta.text = "x" }, of: "resp_\(id)", at: now) }
    }

    /// Pieces in short: what they tell, and of which response; events that follow each other as their number.
    private func short(_ pieces: [ResponsesTelling.Piece]) -> [String] {
        var words: [String] = []
        var events = (id: "", count: 0)
        func close() {
            if events.count > 0 { words.append("\(events.id)+\(events.count)") }
            events.count = 0
        }
        for piece in pieces {
            if case .event(let event) = piece.piece {
                if event.id != events.id { close() }
                events = (event.id, events.count + 1)
                continue
            }
            close()
            switch piece.piece {
            case .response(let record): words.append("begin \(record.id)")
            case .named: words.append("named")
            case .failure(let failure): words.append("fail \(failure.id)")
            case .removed(let id): words.append("remove \(id)")
            case .event, nil: break
            }
        }
        close()
        return words
    }

    private func all(_ telling: inout ResponsesTelling, of stored: StoredResponses) -> [String] {
        var pieces: [ResponsesTelling.Piece] = []
        while case let next = telling.next(of: stored), !next.isEmpty { pieces += next }
        return short(pieces)
    }

    @Test func `where nothing is stored that is said, once`() throws {
        var telling = ResponsesTelling()
        #expect(try all(&telling, of: stored()) == ["named"])
        #expect(try all(&telling, of: stored()) == [])
    }

    @Test func `every response is told as it stood before it is said that all are`() throws {
        var stored = try stored("a", "b")
        say(600, "a", in: &stored)
        stored.fail("resp_b", failure, at: now)
        var telling = ResponsesTelling()
        let told = all(&telling, of: stored)
        #expect(told.last == "named" && told.count == 6)
        for pair in [["begin resp_a", "resp_a+601"], ["begin resp_b", "resp_b+1"], ["resp_b+1", "fail resp_b"]] {
            let place = try #require(told.firstIndex(of: pair[0]))
            #expect(told[place + 1] == pair[1])
        }
        #expect(all(&telling, of: stored) == [], "nothing is told twice")
    }

    @Test func `what comes later is told behind it, to the end`() throws {
        var stored = try stored("a")
        var telling = ResponsesTelling()
        #expect(all(&telling, of: stored) == ["begin resp_a", "resp_a+1", "named"])
        say(2, "a", in: &stored)
        #expect(all(&telling, of: stored) == ["resp_a+2"])
        try insert("b", in: &stored)
        #expect(all(&telling, of: stored) == ["begin resp_b", "resp_b+1"])
        say(1, "a", in: &stored)
        stored.fail("resp_a", failure, at: now)
        #expect(all(&telling, of: stored) == ["resp_a+1", "fail resp_a"])
        stored.remove("resp_a")
        #expect(all(&telling, of: stored) == ["remove resp_a"], "also what has failed")
        #expect(all(&telling, of: stored) == [])
    }

    @Test func `one that is computed faster than it is told holds up neither the others nor the start`() throws {
        var stored = try stored("a", "b")
        var telling = ResponsesTelling()
        var pieces: [ResponsesTelling.Piece] = []
        // As much comes of the one as is told.
        for _ in 0..<20 {
            let next = telling.next(of: stored)
            #expect(next.count <= ResponsesTelling.eventsAtOnce)
            pieces += next
            say(ResponsesTelling.eventsAtOnce, "a", in: &stored)
            say(1, "b", in: &stored)
        }
        let told = short(pieces)
        let named = try #require(told.firstIndex(of: "named"))
        #expect(told[..<named].contains("begin resp_a") && told[..<named].contains("begin resp_b"))
        #expect(told[named...].count { $0.hasPrefix("resp_b+") } >= 2)
    }

    @Test func `one that is removed before it was told is never heard of, and one in the middle is`() throws {
        var stored = try stored("a")
        say(600, "a", in: &stored)
        var telling = ResponsesTelling()
        #expect(short(telling.next(of: stored)) == ["begin resp_a"])
        #expect(short(telling.next(of: stored)) == ["resp_a+256"])
        try insert("b", in: &stored)
        stored.remove("resp_a")
        stored.remove("resp_b")
        #expect(all(&telling, of: stored) == ["remove resp_a", "named"])
    }
}
