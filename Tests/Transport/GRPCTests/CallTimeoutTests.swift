import Testing

@testable import GRPC

struct CallTimeoutTests {
    @Test("Each unit is read")
    func units() {
        #expect(CallTimeout.decode("1n") == 1)
        #expect(CallTimeout.decode("2u") == 2_000)
        #expect(CallTimeout.decode("3m") == 3_000_000)
        #expect(CallTimeout.decode("4S") == 4_000_000_000)
        #expect(CallTimeout.decode("5M") == 300_000_000_000)
        #expect(CallTimeout.decode("6H") == 21_600_000_000_000)
        #expect(CallTimeout.decode("00000000S") == 0)
        #expect(CallTimeout.decode("99999999H") == .max)
    }

    @Test(
        "What is no timeout is refused",
        arguments: ["", "S", "1", "1s", "123456789S", "-1S", "+1S", "1.5S", " 1S", "1S ", "0x1S", "１S", "1ü"])
    func malformed(_ text: String) {
        #expect(CallTimeout.decode(text) == nil)
    }

    @Test("What is written is read as at least as long, and at most a digit's share longer")
    func encode() {
        for nanoseconds: UInt64 in [0, 1, 99_999_999, 100_000_000, 1_234_567_891, 86_400_000_000_000, .max] {
            let text = CallTimeout.encode(nanoseconds: nanoseconds)
            #expect(text.utf8.count <= 9)
            let read = CallTimeout.decode(text) ?? 0
            #expect(read >= nanoseconds)
            #expect(read - nanoseconds <= nanoseconds / 100_000)
        }
    }
}
