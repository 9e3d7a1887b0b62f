import LaunchPlan
import SeccompFilter
import Testing

struct SupervisedCallTests {
    @Test("a supervised call is the same after its record was written and read, and half a record is none")
    func record() {
        let call = SupervisedCall(SystemCall(41, [1, 2, 3, 4, 5, .max]), errno: 13, count: 1 << 40)
        let bytes = call.encoded()
        #expect(bytes.count == SupervisedCall.byteCount)
        #expect(SupervisedCall(decoding: bytes) == call)
        #expect(SupervisedCall(decoding: bytes.dropLast()) == nil)
        #expect(SupervisedCall(decoding: bytes + [0]) == nil)
    }
}
