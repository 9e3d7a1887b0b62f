import Glibc
import HandOver
import LinuxSystem
import Testing

@Suite struct HeldParcelsTests {
    private static let start = Monotonic(nanoseconds: 1_000_000_000)
    private static let minute = start.advanced(milliseconds: 60_000)

    private static func hello(_ seconds: UInt32 = 60, version: UInt32 = HolderHello.version) -> Parcel {
        Parcel(.hello, HolderHello(seconds: seconds, version: version).bytes)
    }

    /// The parcel of a backend with this key.
    private static func backend(_ key: UInt64) -> Parcel {
        let ends = (0..<4).map { _ in memfd() }
        return Parcel(.backend, key: key, [1, 2], owning: ends)
    }

    private static func memfd() -> CInt {
        do {
            return try Descriptor.memoryFile("test").release()
        } catch {
            Issue.record(error)
            return -1
        }
    }

    /// One with a listener, a backend and a turn.
    private static func filled(seconds: UInt32 = 60) -> HeldParcels {
        var held = HeldParcels(HeldLimits())
        #expect(held.heard(hello(seconds)).isEmpty)
        #expect(held.heard(Parcel(.listener, key: 1, owning: [memfd()])).isEmpty)
        #expect(held.heard(backend(2)).isEmpty)
        #expect(held.heard(Parcel(.turn, key: 3, [7], owning: [memfd()])).isEmpty)
        return held
    }

    /// What a list of actions says, in words.
    private static func words(_ actions: [HeldParcels.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .freeze(let parcel): "freeze \(parcel.key)"
            case .give(let parcels): "give " + parcels.map { "\($0.kind) \($0.key)" }.joined(separator: ", ")
            case .confirm: "confirm"
            case .turnAway: "turn away"
            case .exit: "exit"
            }
        }
    }

    private static let everything = "give hello 0, listener 1, backend 2, turn 3, end 0"

    @Test func whatTheAgentGivesIsKeptByItsKey() {
        var held = Self.filled()
        #expect(held.phase == .serving)
        #expect(held.all.map(\.key) == [1, 2, 3])
        #expect(held.descriptorCount == 6)
        #expect(held.byteCount == 3)
        // In the place of the one with the same key.
        #expect(held.heard(Parcel(.turn, key: 1, [1, 2, 3])).isEmpty)
        #expect(held.all.map(\.kind) == [.turn, .backend, .turn])
        #expect(held.descriptorCount == 5)
        #expect(held.byteCount == 6)
        for key in UInt64(0)...3 { #expect(held.heard(Parcel(.forget, key: key)).isEmpty) }
        #expect(held.count == 0)
        #expect(held.descriptorCount == 0)
        #expect(held.byteCount == 0)
    }

    @Test func whatIsTooMuchIsNotKept() {
        var bounds = HeldLimits()
        (bounds.survivorsMax, bounds.survivorDescriptorsMax, bounds.survivorBytesMax) = (2, 5, 10)
        var held = HeldParcels(bounds)
        func isKept(_ parcel: Parcel) -> Bool { held.keep(parcel) }
        #expect(isKept(Self.backend(1)))
        #expect(!isKept(Self.backend(2)))
        #expect(!isKept(Parcel(.turn, key: 3, [UInt8](repeating: 0, count: 9))))
        #expect(isKept(Parcel(.turn, key: 4, [UInt8](repeating: 0, count: 8), owning: [Self.memfd()])))
        #expect(!isKept(Parcel(.turn, key: 5)))
        // In the place of another one there is room, and what does not fit there leaves the other one.
        #expect(isKept(Parcel(.turn, key: 4, [1])))
        #expect(!isKept(Parcel(.turn, key: 4, [UInt8](repeating: 0, count: 9))))
        #expect(held.all.map(\.bytes) == [[1, 2], [1]])
    }

    @Test func aProcessHoldsHalfOfItsDescriptors() {
        #expect(HeldLimits(descriptorLimit: 1024).survivorDescriptorsMax == 512)
        #expect(HeldLimits(descriptorLimit: .max).survivorDescriptorsMax == HeldLimits().survivorDescriptorsMax)
    }

    @Test func aFarewellEndsIt() {
        var held = Self.filled()
        #expect(Self.words(held.heard(Parcel(.farewell))) == ["exit"])
        #expect(held.phase == .over)
        #expect(held.count == 0)
        // Its end has no further effect.
        #expect(held.agentDied(at: Self.start).isEmpty)
        #expect(held.heard(Self.backend(4)).isEmpty)
        #expect(Self.words(held.asked(by: Self.hello(), at: Self.start)) == ["turn away"])
    }

    @Test func aDeathFreezesTheBackendsAndWaits() {
        var held = Self.filled()
        #expect(Self.words(held.agentDied(at: Self.start)) == ["freeze 2"])
        #expect(held.phase == .waiting(until: Self.minute))
        #expect(held.deadline == Self.minute)
        #expect(held.timePassed(to: Self.minute.earlier(nanoseconds: 1)).isEmpty)
        #expect(Self.words(held.timePassed(to: Self.minute)) == ["exit"])
        #expect(held.count == 0)
    }

    @Test func aBackendWithoutItsKeeperIsNotFrozen() {
        var held = HeldParcels(HeldLimits())
        #expect(held.heard(Self.hello()).isEmpty)
        #expect(held.heard(Parcel(.backend, key: 1, owning: [Self.memfd(), Self.memfd()])).isEmpty)
        #expect(held.agentDied(at: Self.start).isEmpty)
        #expect(held.phase == .waiting(until: Self.minute))
    }

    @Test func aDeathEndsWhatHoldsNothing() {
        var empty = HeldParcels(HeldLimits())
        #expect(empty.heard(Self.hello()).isEmpty)
        #expect(Self.words(empty.agentDied(at: Self.start)) == ["exit"])
        // The owner wants nothing to survive.
        var unwanted = Self.filled(seconds: 0)
        #expect(Self.words(unwanted.agentDied(at: Self.start)) == ["exit"])
        // Nobody has said for how long.
        var silent = HeldParcels(HeldLimits())
        #expect(silent.heard(Self.backend(1)).isEmpty)
        #expect(Self.words(silent.agentDied(at: Self.start)) == ["exit"])
    }

    @Test func theTimeCanChangeWhileTheAgentLives() {
        var held = Self.filled()
        #expect(held.heard(Self.hello(1)).isEmpty)
        #expect(Self.words(held.agentDied(at: Self.start)) == ["freeze 2"])
        #expect(held.deadline == Self.start.advanced(milliseconds: 1000))
    }

    @Test func theAgentIsToldWhatIsKeptSoFar() {
        var held = HeldParcels(HeldLimits())
        // It is not in force yet.
        #expect(held.heard(Self.hello(0)).isEmpty)
        #expect(held.heard(Self.backend(1)).isEmpty)
        #expect(Self.words(held.heard(Parcel(.end))) == ["confirm"])
        #expect(held.count == 1)
        var dying = held
        #expect(Self.words(dying.agentDied(at: Self.start)) == ["exit"], "another holder keeps it, and has frozen it")
        #expect(held.heard(Self.hello()).isEmpty)
        #expect(Self.words(held.agentDied(at: Self.start)) == ["freeze 1"])
        #expect(held.heard(Parcel(.end)).isEmpty)
    }

    @Test func anotherVersionEndsIt() {
        var held = Self.filled()
        #expect(Self.words(held.heard(Self.hello(version: 2))) == ["exit"])
        var silent = HeldParcels(HeldLimits())
        #expect(Self.words(silent.heard(Parcel(.hello, [1, 0, 0, 0]))) == ["exit"])
    }

    @Test func whileTheAgentLivesNobodyElseGetsAnything() {
        var held = Self.filled()
        #expect(held.hears)
        #expect(Self.words(held.asked(by: Self.hello(), at: Self.start)) == ["give farewell 0", "turn away"])
        #expect(held.phase == .serving)
        #expect(held.count == 3)
    }

    @Test func theNextAgentGetsEverythingOnce() {
        var held = Self.filled()
        _ = held.agentDied(at: Self.start)
        #expect(Self.words(held.asked(by: Self.hello(), at: Self.start)) == [Self.everything])
        #expect(held.phase == .giving(until: Self.minute))
        // Nobody else is heard meanwhile, and no time ends it.
        #expect(!held.hears)
        #expect(held.deadline == nil)
        #expect(held.timePassed(to: Self.minute).isEmpty)
        #expect(Self.words(held.asked(by: Self.hello(), at: Self.start)) == ["turn away"])
        #expect(Self.words(held.answered(Parcel(.taken), at: Self.minute)) == ["give given 0", "exit"])
        #expect(held.phase == .over)
        #expect(held.count == 0)
    }

    @Test func anAgentThatGoesBeforeItHasTakenItLeavesItToTheNext() {
        var held = Self.filled()
        _ = held.agentDied(at: Self.start)
        _ = held.asked(by: Self.hello(), at: Self.start)
        #expect(held.asksGone(at: Self.start).isEmpty)
        #expect(held.phase == .waiting(until: Self.minute))
        #expect(Self.words(held.asked(by: Self.hello(), at: Self.start)) == [Self.everything])
        // What it says is no answer.
        #expect(Self.words(held.answered(Parcel(.hello), at: Self.start)) == ["turn away"])
        #expect(Self.words(held.asked(by: Self.hello(), at: Self.start)) == [Self.everything])
        // It goes after the time was over.
        #expect(Self.words(held.asksGone(at: Self.minute)) == ["exit"])
    }

    @Test func whoDoesNotSayWhoItIsGetsNothing() {
        var held = Self.filled()
        _ = held.agentDied(at: Self.start)
        for parcel in [Parcel(.taken), Parcel(.hello), Self.hello(version: 0), Self.hello(version: 2)] {
            #expect(Self.words(held.asked(by: parcel, at: Self.start)) == ["give farewell 0", "turn away"])
            #expect(held.phase == .waiting(until: Self.minute))
        }
        // None has connected at all.
        #expect(held.asksGone(at: Self.minute).isEmpty)
        #expect(held.answered(Parcel(.taken), at: Self.start).isEmpty)
        #expect(held.count == 3)
    }

    @Test func aHelloMayBeLonger() {
        #expect(HolderHello(HolderHello(seconds: 7).bytes + [1]) == HolderHello(seconds: 7))
        #expect(HolderHello([UInt8](repeating: 0, count: 7)) == nil)
    }
}
