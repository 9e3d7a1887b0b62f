import Testing

@testable import HTTP2Connection

struct StreamOutputTests {
    /// An output with a high mark of 100 bytes, a low one of 50 and a bound of 200, and the sum that it counts in.
    private static func withOutput(_ body: (inout StreamOutput, () -> Int) -> Void) {
        let sum = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        sum.initialize(to: 1_000)
        defer { sum.deallocate() }
        var limits = HTTP2Limits()
        limits.streamBufferHighBytes = 100
        limits.streamBufferLowBytes = 50
        limits.streamBufferBytesMax = 200
        var output = StreamOutput(limits, countedIn: sum)
        output.isOpen = true
        body(&output) { sum.pointee - 1_000 }
    }

    private static func append(_ count: Int, to output: inout StreamOutput) -> Bool {
        output.append(byteCount: count) { $0.initializeMemory(as: UInt8.self, repeating: 7) }
    }

    @Test("What it holds is in the sum, whatever was appended, refused, taken or dropped")
    func sum() {
        Self.withOutput { output, sum in
            var held: [Int] = []
            var taken: [Bool] = []
            // Once something was refused, nothing is taken any more.
            for count in [150, 60, 50] {
                taken.append(Self.append(count, to: &output))
                held.append(sum())
            }
            _ = output.removeFirst(30)
            held.append(sum())
            output.close()
            held.append(sum())
            taken.append(Self.append(1, to: &output))
            output.close()
            held.append(sum())
            #expect(taken == [true, false, false, false])
            #expect(held == [150, 150, 150, 120, 0, 0])
        }
    }

    @Test("The low mark is told once, after the high one was passed")
    func marks() {
        Self.withOutput { output, _ in
            _ = Self.append(100, to: &output)
            let before = output.isAboveHighMark
            var told = [output.removeFirst(60)]
            _ = Self.append(61, to: &output)
            let after = output.isAboveHighMark
            for count in [50, 1, 1] { told.append(output.removeFirst(count)) }
            #expect(!before && after)
            #expect(told == [false, false, true, false])
        }
    }

    @Test("It has stopped when all was said, and nothing was taken between two looks")
    func stopped() {
        Self.withOutput { output, _ in
            _ = Self.append(10, to: &output)
            // More may come: the peer waits for us.
            var looks = [output.hasStopped(), output.hasStopped()]
            output.isEnding = true
            looks.append(output.hasStopped())
            _ = output.removeFirst(1)
            looks += [output.hasStopped(), output.hasStopped()]
            _ = output.removeFirst(9)
            // Trailers are behind that, and may wait as long.
            looks += [output.hasStopped(), output.hasStopped()]
            #expect(looks == [false, false, false, false, true, false, true])
        }
    }
}
