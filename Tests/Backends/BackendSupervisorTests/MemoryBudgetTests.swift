import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("MemoryBudget")
struct MemoryBudgetTests {
    private let gibibyte: UInt64 = 1 << 30

    /// Of a machine with so many GiB, of which so many are available.
    private func budget(
        total: UInt64 = 64, available: UInt64 = 60, owners: UInt64? = 10, held: UInt64 = 0
    ) -> MemoryBudget {
        MemoryBudget(
            host: HostMemory(totalBytes: total * gibibyte, availableBytes: available * gibibyte),
            ownersBytes: owners.map { $0 * gibibyte }, heldBytes: held * gibibyte)
    }

    private func process(_ name: String, _ number: Int = 1) -> BackendCatalog.Process {
        BackendCatalog.Process(backend: BackendCatalog.Key(name: "b", model: name), number: number)
    }

    private func holder(
        _ name: String, _ gibibytes: UInt64, _ hold: MemoryBudget.Hold, lastUsed seconds: UInt64 = 1, number: Int = 1
    ) -> MemoryBudget.Holder {
        MemoryBudget.Holder(
            process: process(name, number), bytes: gibibytes * gibibyte, hold: hold,
            lastUsed: Monotonic(nanoseconds: seconds * 1_000_000_000))
    }

    @Test("the budget is the owner's, else half of the memory, and never the last two gibibytes that are available")
    func size() {
        #expect(budget(owners: 10).bytes == 10 * gibibyte)
        #expect(budget(total: 64, owners: nil).bytes == 32 * gibibyte)
        #expect(budget(available: 7, owners: 10).bytes == 5 * gibibyte)
        #expect(budget(available: 7, owners: 10, held: 3).bytes == 8 * gibibyte, "what models have is not gone")
        #expect(budget(available: 1, owners: 10).bytes == 0)
    }

    @Test("what fits beside the others is loaded")
    func fits() {
        #expect(budget().decide(needs: 4 * gibibyte, [holder("a", 6, .working)]) == .load)
        #expect(budget().decide(needs: 4 * gibibyte + 1, [holder("a", 6, .working)]) == .wait)
    }

    @Test("the idle ones that were not used for longest go first, and no more of them than needed")
    func leastRecentlyUsed() {
        let holders = [
            holder("new", 3, .idle, lastUsed: 3), holder("old", 3, .idle, lastUsed: 1),
            holder("middle", 3, .idle, lastUsed: 2),
        ]
        #expect(budget().decide(needs: 4 * gibibyte, holders) == .unload([process("old")]))
        #expect(budget().decide(needs: 7 * gibibyte, holders) == .unload([process("old"), process("middle")]))
        let all: Set = [process("old"), process("middle"), process("new")]
        #expect(budget().decide(needs: 10 * gibibyte, holders) == .unload(all))
    }

    @Test("each process of a model counts, and goes for itself")
    func replicas() {
        let holders = [holder("a", 3, .idle, number: 1), holder("a", 3, .working, number: 2)]
        #expect(budget().decide(needs: 4 * gibibyte, holders) == .load)
        #expect(budget().decide(needs: 5 * gibibyte, holders) == .unload([process("a", 1)]))
        #expect(budget().decide(needs: 8 * gibibyte, holders) == .wait)
    }

    @Test("nobody goes who works, nor where those that are going make room enough")
    func spared() {
        #expect(budget().decide(needs: 5 * gibibyte, [holder("a", 3, .idle), holder("b", 6, .going)]) == .wait)
        #expect(budget().decide(needs: 5 * gibibyte, [holder("a", 6, .working)]) == .wait)
        #expect(budget().decide(needs: 5 * gibibyte, [holder("a", 6, .working), holder("b", 1, .idle)]) == .wait)
    }

    @Test("what would not fit beside those that stay is refused with the numbers")
    func refused() {
        guard case .refuse(let owners) = budget().decide(needs: 8 * gibibyte, [holder("a", 3, .forGood)]) else {
            return #expect(Bool(false))
        }
        #expect(owners.contains("8192 MiB") && owners.contains("7168 MiB for it"))
        #expect(owners.contains("the owner allows models 10240 MiB"))
        guard case .refuse(let little) = budget(available: 4).decide(needs: 8 * gibibyte, []) else {
            return #expect(Bool(false))
        }
        #expect(little.contains("2048 MiB for it: 4096 MiB are available, of which 2048 MiB stay free"))
        guard case .refuse(let half) = budget(total: 8, owners: nil).decide(needs: 5 * gibibyte, []) else {
            return #expect(Bool(false))
        }
        #expect(half.contains("half of the 8192 MiB"))
    }

    @Test("numbers beyond all memory are refused, not added up to little")
    func overflow() {
        guard case .refuse = budget().decide(needs: .max, [holder("a", 3, .forGood)]) else {
            return #expect(Bool(false))
        }
    }
}
