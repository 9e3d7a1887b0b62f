import Cryptography
import Glibc
import LinuxSystem
import Synchronization
import Testing

// Tests of how a process ends came with Swift 6.2.
#if compiler(>=6.2)
    private let digests = Atomic(0)

    private func waitForDigests(_ count: Int) {
        let end = digests.load(ordering: .relaxed) + count
        while digests.load(ordering: .relaxed) < end { sched_yield() }
    }

    struct OpenSSLLifetimeTests {
        @Test func `a process ends with its status while a thread of it is at a digest`() async {
            await #expect(processExitsWith: .exitCode(7)) {
                // Called last of all by exit(3), for it comes first: what the others have freed is used after that.
                atexit { waitForDigests(100) }
                OpenSSLLifetime.endsWithProcess()
                try DetachedThread.run {
                    while true {
                        _ = [1, 2, 3].withUnsafeBytes { SHA256.digest($0) }
                        digests.add(1, ordering: .relaxed)
                    }
                }
                waitForDigests(1)
                exit(7)
            }
        }
    }
#endif
