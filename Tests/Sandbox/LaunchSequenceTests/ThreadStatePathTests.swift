import Testing

@testable import LaunchSequence

struct ThreadStatePathTests {
    @Test(
        "only /proc/NUMBER/stat is a thread's state, whatever stands behind it", arguments: ["7", "12345", "4194304"])
    func threads(number: String) {
        let path = Array("/proc/\(number)/stat\0".utf8)
        #expect(ThreadStatePath.isOne(path))
        #expect(ThreadStatePath.isOne(path + [0x41, 0]))
        #expect(path.count <= ThreadStatePath.byteCountMax)
        for count in 0..<path.count { #expect(!ThreadStatePath.isOne(Array(path[..<count]))) }
    }

    @Test(
        "anything else is not",
        arguments: [
            "", "/proc/self/stat", "/proc//stat", "/proc/7/status", "/proc/7/stat/x", "/proc/7/mem", "proc/7/stat",
        ])
    func others(path: String) { #expect(!ThreadStatePath.isOne(Array(path.utf8) + [0])) }
}
