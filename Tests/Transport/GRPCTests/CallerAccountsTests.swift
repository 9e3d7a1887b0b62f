import EventLoop
import LinuxSystem
import Testing

@testable import GRPC

struct CallerAccountsTests {
    private let now = Monotonic(nanoseconds: 5_000_000_000)
    private let alice = CallerID.key(sha256: [UInt8](repeating: 1, count: 32))

    private func accounts(callersMax: Int = 100) -> CallerAccounts {
        CallerAccounts(stepsPerSecondMax: 1_000, stepsAtOnceMax: 500, callersMax: callersMax)
    }

    private func address(_ number: Int) -> CallerID { .origin(.ipv4(UInt32(number))) }

    /// Of a provider's networks.
    private func network(_ number: Int, of provider: UInt64 = 0x2001_0db8) -> CallerID {
        .origin(.ipv6(network: provider << 32 | UInt64(number), interface: 0))
    }

    private func left(_ accounts: CallerAccounts, _ caller: CallerID, at now: Monotonic) -> Int {
        var accounts = accounts
        return accounts.stepsLeft(of: caller, at: now)
    }

    private func wait(_ accounts: CallerAccounts, _ caller: CallerID, at now: Monotonic) -> UInt64 {
        var accounts = accounts
        return accounts.millisecondsUntilSteps(of: caller, at: now)
    }

    @Test("A caller has so many steps at once, is without any then, and gets so many each second")
    func allowance() {
        var accounts = accounts()
        #expect(left(accounts, alice, at: now) == 500)
        #expect(wait(accounts, alice, at: now) == 0)
        accounts.charge(200, to: alice, at: now)
        #expect(left(accounts, alice, at: now) == 300)
        accounts.charge(300, to: alice, at: now)
        #expect(left(accounts, alice, at: now) == 0)
        #expect(left(accounts, alice, at: now.advanced(milliseconds: 100)) == 100)
        #expect(left(accounts, alice, at: now.advanced(milliseconds: 10_000)) == 500)
    }

    @Test("Work that went beyond the allowance is made up for before there are steps again")
    func debt() {
        var accounts = accounts()
        accounts.charge(2_500, to: alice, at: now)
        let wait = self.wait(accounts, alice, at: now)
        #expect(wait >= 2_000 && wait <= 2_003)
        #expect(left(accounts, alice, at: now.advanced(milliseconds: 1_999)) == 0)
        #expect(left(accounts, alice, at: now.advanced(milliseconds: wait)) > 0)
        accounts.charge(.max, to: alice, at: now)
        #expect(left(accounts, alice, at: now.advanced(milliseconds: 1_000_000)) == 0)
    }

    @Test("What one caller costs is not the next one's")
    func separate() {
        var accounts = accounts()
        accounts.charge(10_000, to: alice, at: now)
        accounts.charge(10_000, to: address(1), at: now)
        #expect(left(accounts, address(2), at: now) == 500)
        #expect(left(accounts, CallerID.key(sha256: [UInt8](repeating: 2, count: 32)), at: now) == 500)
    }

    @Test("Asking for what is left makes no entry, and callers that have rested lose theirs")
    func entries() {
        var accounts = accounts()
        for number in 0..<50 { _ = accounts.stepsLeft(of: address(number), at: now) }
        #expect(accounts.count == 0)
        for number in 0..<50 { accounts.charge(1, to: address(number), at: now) }
        #expect(accounts.count == 50)
        // All have rested; the new ones make the old ones' entries go, several for each.
        let later = now.advanced(milliseconds: 10_000)
        for number in 100..<120 { accounts.charge(1, to: address(number), at: later) }
        #expect(accounts.count == 20)
    }

    @Test(
        "However many callers there are, the table keeps its bound, debts stay, and others have their steps",
        arguments: [8, 10, 12, 14, 16])
    func manyCallers(exponent: Int) {
        var accounts = accounts(callersMax: 64)
        accounts.charge(5_000, to: address(7), at: now)
        accounts.charge(5_000, to: alice, at: now)
        for number in 0..<(1 << exponent) { accounts.charge(1_000, to: network(number), at: now) }
        #expect(accounts.count <= 65)
        #expect(left(accounts, address(7), at: now) == 0)
        #expect(left(accounts, alice, at: now) == 0)
        // The flood's own newcomers have nothing.
        #expect(left(accounts, network(1 << 20), at: now) == 0)
        #expect(wait(accounts, network(1 << 20), at: now) > 0)
        // Two that share an account by chance are one case in 256; all of these are not.
        let honest = (0..<16).map { network(1, of: 0x2a00_0000 + $0) } + (0..<16).map { address($0 << 16) }
        #expect(honest.filter { left(accounts, $0, at: now) == 500 }.count >= 24)
        #expect(left(accounts, .key(sha256: [UInt8](repeating: 2, count: 32)), at: now) == 500)
        // Once the flood has rested there is room for each again.
        let later = now.advanced(milliseconds: 1_000_000)
        for number in 0..<32 { accounts.charge(1, to: address(number << 16), at: later) }
        accounts.charge(1_000, to: address(99 << 16), at: later)
        #expect(left(accounts, address(99 << 16 | 1), at: later) == 500)
    }

    @Test("The steps of what can be long grow with it")
    func steps() {
        #expect(WorkSteps.copying(0) == 1)
        #expect(WorkSteps.copying(1 << 20) == 1 + (1 << 20) / WorkSteps.bytesCopiedPerStep)
        #expect(WorkSteps.decompressing(0, messages: 3) == 3 * WorkSteps.perDecompression)
        #expect(WorkSteps.decompressing(4 << 20) > 100_000)
        #expect(WorkSteps.copying(-1) == 1 && WorkSteps.decompressing(-1, messages: -1) == 0)
    }
}
