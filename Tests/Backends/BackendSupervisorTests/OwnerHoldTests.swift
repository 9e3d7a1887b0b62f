import Testing

@testable import BackendSupervisor

struct OwnerHoldTests {
    private func after(_ requests: [OwnerHold.Request]) -> OwnerHold {
        var hold = OwnerHold()
        for request in requests { _ = hold.take(request) }
        return hold
    }

    @Test(
        "each wish in each state: what is in force then, and what backends do",
        arguments: [
            (OwnerHold(), .pause(unloading: false), OwnerHold(pause: .frozen), .pause),
            (OwnerHold(), .pause(unloading: true), OwnerHold(pause: .unloaded), .pause),
            (OwnerHold(), .drain, OwnerHold(isDraining: true), nil),
            (OwnerHold(), .resume, OwnerHold(), nil),
            (OwnerHold(pause: .frozen), .pause(unloading: false), OwnerHold(pause: .frozen), nil),
            (OwnerHold(pause: .frozen), .pause(unloading: true), OwnerHold(pause: .unloaded), .pause),
            (OwnerHold(pause: .frozen), .drain, OwnerHold(pause: .frozen, isDraining: true), nil),
            (OwnerHold(pause: .frozen), .resume, OwnerHold(), .goOn),
            (OwnerHold(pause: .unloaded), .pause(unloading: false), OwnerHold(pause: .unloaded), nil),
            (OwnerHold(pause: .unloaded), .pause(unloading: true), OwnerHold(pause: .unloaded), nil),
            (OwnerHold(pause: .unloaded), .resume, OwnerHold(), .goOn),
            (OwnerHold(isDraining: true), .drain, OwnerHold(isDraining: true), nil),
            (OwnerHold(isDraining: true), .pause(unloading: false), .init(pause: .frozen, isDraining: true), .pause),
            (OwnerHold(isDraining: true), .resume, OwnerHold(), nil),
            (OwnerHold(pause: .frozen, isDraining: true), .resume, OwnerHold(), .goOn),
        ] as [(OwnerHold, OwnerHold.Request, OwnerHold, OwnerHold.Action?)])
    func every(before: OwnerHold, request: OwnerHold.Request, after: OwnerHold, action: OwnerHold.Action?) {
        var hold = before
        let asked = hold.take(request)
        #expect(asked == action)
        #expect(hold == after)
    }

    @Test func `a drain that comes during a pause is in force with it, and one resume ends both`() {
        let both = after([.pause(unloading: false), .drain])
        #expect(both.pause == .frozen && both.isDraining && !both.isEmpty)
        #expect(both == after([.drain, .pause(unloading: false)]))
        #expect(both.words.contains("paused") && both.words.contains("draining"))
        #expect(after([.pause(unloading: false), .drain, .resume]).isEmpty)
        #expect(OwnerHold().words.isEmpty)
    }
}
