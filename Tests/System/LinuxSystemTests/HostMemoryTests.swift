import Glibc
import TestPlaces
import Testing

@testable import LinuxSystem

@Suite("HostMemory")
struct HostMemoryTests {
    private let root = TemporaryFolder()
    private let mebibyte: UInt64 = 1 << 20

    private func write(_ path: String, _ text: String) {
        var folder = root.path
        for part in path.split(separator: "/").dropLast() {
            folder += "/\(part)"
            mkdir(folder, 0o755)
        }
        root.write(path, text)
    }

    private func machine(total: UInt64 = 16_384, available: UInt64 = 8_192) {
        write(
            "proc/meminfo",
            "MemTotal:       \(total * 1024) kB\nMemFree: 1 kB\nMemAvailable:    \(available * 1024) kB\n")
    }

    @Test("without a control group it is the machine's")
    func machineAlone() {
        machine()
        #expect(
            HostMemory.read(root: root.path)
                == HostMemory(totalBytes: 16_384 * mebibyte, availableBytes: 8_192 * mebibyte))
    }

    @Test("a group of version 2 narrows it, on whatever level, and file pages of its own count as available")
    func versionTwo() {
        machine()
        write("proc/self/cgroup", "0::/a/b\n")
        write("sys/fs/cgroup/a/memory.max", "\(4_096 * mebibyte)\n")
        write("sys/fs/cgroup/a/memory.current", "\(1_024 * mebibyte)\n")
        write("sys/fs/cgroup/a/memory.stat", "anon 5\nactive_file \(100 * mebibyte)\ninactive_file \(200 * mebibyte)\n")
        write("sys/fs/cgroup/a/b/memory.max", "max\n")
        #expect(
            HostMemory.read(root: root.path)
                == HostMemory(totalBytes: 4_096 * mebibyte, availableBytes: 3_372 * mebibyte))
    }

    @Test("a group of version 1 does so too, and one that allows more than there is changes nothing")
    func versionOne() {
        machine()
        write("proc/self/cgroup", "5:cpu:/x\n4:memory:/x\n")
        write("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "\(2_048 * mebibyte)\n")
        write("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "\(1_500 * mebibyte)\n")
        write("sys/fs/cgroup/memory/x/memory.stat", "cache 1\ntotal_inactive_file \(500 * mebibyte)\n")
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        #expect(
            HostMemory.read(root: root.path)
                == HostMemory(totalBytes: 2_048 * mebibyte, availableBytes: 1_048 * mebibyte))
    }

    @Test("a group that is full leaves nothing")
    func full() {
        machine()
        write("proc/self/cgroup", "0::/\n")
        write("sys/fs/cgroup/memory.max", "\(10 * mebibyte)\n")
        write("sys/fs/cgroup/memory.current", "\(11 * mebibyte)\n")
        #expect(HostMemory.read(root: root.path).availableBytes == 0)
    }

    @Test("this machine tells of itself, and this process of what it has in use")
    func here() {
        let host = HostMemory.read()
        #expect(host.totalBytes > 0 && host.availableBytes > 0 && host.availableBytes <= host.totalBytes)
        let before = HostMemory.anonymousBytes(ofProcess: getpid())
        let touched = [UInt8](repeating: 1, count: 64 << 20)
        #expect(HostMemory.anonymousBytes(ofProcess: getpid()) > before + 32 << 20)
        withExtendedLifetime(touched) {}
        #expect(HostMemory.anonymousBytes(ofProcess: 0) == 0)
    }
}
