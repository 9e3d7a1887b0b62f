import InferenceMessages
import OwnerTools
import SwiftProtobuf
import Testing

/// A log as the agent answers for it, of which the last `kept` lines are kept.
private struct Log {
    let identity: UInt64
    var count: UInt64
    var kept: UInt64 = .max

    func answer(_ request: Hearth_Admin_V1_ReadLogRequest) -> Hearth_Admin_V1_ReadLogResponse {
        .with {
            $0.log = identity
            $0.lastNumber = count
            let after = max(request.log == identity ? request.after : 0, count - min(kept, count))
            $0.lines = (after..<max(after, count)).map { number in
                .with {
                    $0.number = number + 1
                    $0.text = "\(identity):\(number + 1)"
                }
            }
        }
    }
}

@Suite("LogReader")
struct LogReaderTests {
    private let backend = Hearth_Admin_V1_Backend.with {
        $0.name = "echo"
        $0.model = "m"
    }

    /// The texts of what is shown next, with the missing ones in parentheses.
    private func next(_ reader: inout LogReader, _ log: Log) -> [String] {
        let request = reader.request(for: backend)
        let shown = reader.take(log.answer(request), to: request, isFollowing: true)
        reader.isFresh = false
        return shown.flatMap { ($0.missing > 0 ? ["(\($0.missing))"] : []) + ($0.hasLine ? [$0.line.text] : []) }
    }

    @Test("what comes is shown once")
    func once() {
        var reader = LogReader(lineCount: nil)
        #expect(next(&reader, Log(identity: 7, count: 2)) == ["7:1", "7:2"])
        #expect(next(&reader, Log(identity: 7, count: 2)) == [])
        #expect(next(&reader, Log(identity: 7, count: 3)) == ["7:3"])
    }

    @Test("the log of a backend that is found anew is shown from its first line, whether it is shorter or longer")
    func foundAnew() {
        for count: UInt64 in [0, 1, 2, 3, 9] {
            var reader = LogReader(lineCount: nil)
            _ = next(&reader, Log(identity: 7, count: 3))
            #expect(next(&reader, Log(identity: 8, count: count)) == (0..<count).map { "8:\($0 + 1)" })
            #expect(next(&reader, Log(identity: 8, count: count + 1)) == ["8:\(count + 1)"])
        }
    }

    @Test("lines that are no longer kept are counted, of the same log and of another")
    func missing() {
        var reader = LogReader(lineCount: nil)
        #expect(next(&reader, Log(identity: 7, count: 5, kept: 2)) == ["7:4", "7:5"], "it began with what is kept")
        #expect(next(&reader, Log(identity: 7, count: 9, kept: 1)) == ["(3)", "7:9"])
        #expect(next(&reader, Log(identity: 8, count: 4, kept: 1)) == ["(3)", "8:4"])
        #expect(next(&reader, Log(identity: 8, count: 6, kept: 0)) == ["(2)"])
    }

    @Test("the last lines only are those of what was there at the beginning")
    func lastLines() {
        var reader = LogReader(lineCount: 1)
        #expect(next(&reader, Log(identity: 7, count: 3)) == ["7:3"])
        #expect(next(&reader, Log(identity: 7, count: 5)) == ["7:4", "7:5"])
        #expect(next(&reader, Log(identity: 8, count: 2)) == ["8:1", "8:2"])
        var late = LogReader(lineCount: 1)
        late.isFresh = false
        #expect(next(&late, Log(identity: 9, count: 2)) == ["9:1", "9:2"], "a backend that came later is shown whole")
    }

    @Test("each process of a model has a log of its own, with its number in the name")
    func replicas() {
        var reader = LogReader(lineCount: nil)
        for number: UInt32 in [1, 2] {
            let process = Hearth_Admin_V1_Backend.with {
                $0.name = "echo"
                $0.model = "m"
                $0.replica = number
            }
            let request = reader.request(for: process)
            #expect(request.after == 0 && request.replica == number)
            let log = Log(identity: UInt64(number), count: 1)
            let shown = reader.take(log.answer(request), to: request, isFollowing: true)
            #expect(shown.map(\.source) == ["echo/m#\(number)"])
            #expect(reader.request(for: process).after == 1)
        }
    }
}
