import Testing

@testable import GRPC

/// Every state that any sequence of events leads to, and every event in it.
struct CallDeliveryTests {
    private enum Event: CaseIterable {
        case pause, resume, holdBack, release, beginDelivering, endDelivering, peerEndedHolding, peerEnded,
            endIfDueHolding, endIfDue, over
    }

    private struct Reached: Hashable {
        var delivery = CallDelivery()
        var isDelivering = false
        var peerHasEnded = false
        var endsTold = 0
    }

    private func apply(_ event: Event, to delivery: inout CallDelivery) -> CallDelivery.Step {
        switch event {
        case .pause: delivery.pause()
        case .resume: return delivery.resume()
        case .holdBack: delivery.holdBack()
        case .release: return delivery.release()
        case .beginDelivering: delivery.beginDelivering()
        case .endDelivering: delivery.endDelivering()
        case .peerEndedHolding: return delivery.peerEnded(holdsMessages: true)
        case .peerEnded: return delivery.peerEnded(holdsMessages: false)
        case .endIfDueHolding: return delivery.endIfDue(holdsMessages: true)
        case .endIfDue: return delivery.endIfDue(holdsMessages: false)
        case .over: delivery.over()
        }
        return .nothing
    }

    /// Follows every event from every state that can be reached, and shows each step to `check`.
    private func explore(_ check: (_ before: Reached, Event, CallDelivery.Step, _ after: Reached) -> Void) -> Set<
        Reached
    > {
        var known: Set<Reached> = [Reached()]
        var open = [Reached()]
        while let before = open.popLast() {
            for event in Event.allCases {
                var after = before
                let step = apply(event, to: &after.delivery)
                if event == .beginDelivering { after.isDelivering = true }
                if event == .endDelivering { after.isDelivering = false }
                if event == .peerEnded || event == .peerEndedHolding { after.peerHasEnded = true }
                if step == .end { after.endsTold += 1 }
                check(before, event, step, after)
                if after.endsTold < 2, known.insert(after).inserted { open.append(after) }
            }
        }
        return known
    }

    @Test(
        "The end is told once, after the peer's, never in the middle of a message, and never to who still has to be given some"
    )
    func end() {
        let known = explore { before, event, step, after in
            guard step == .end else { return }
            #expect(after.endsTold == 1)
            #expect(after.peerHasEnded && !before.isDelivering && !before.delivery.isOver)
            #expect(!before.delivery.isHeldBack)
            #expect(!before.delivery.isPaused || event == .peerEnded || event == .endIfDue)
        }
        // Both kinds of states were there.
        #expect(Set(known.map(\.endsTold)) == [0, 1])
    }

    @Test("After the call is over, nothing is handed over, and nothing told")
    func over() {
        _ = explore { before, _, step, after in
            guard before.delivery.isOver else { return }
            #expect(step == .nothing && after.delivery.isOver && !after.delivery.wantsMessage)
        }
    }

    @Test("Messages are delivered anew only by what ends the last reason to wait, and not from within a delivery")
    func resume() {
        _ = explore { before, event, step, after in
            let ends = event == .resume || event == .release
            let hadToWait = before.delivery.isPaused || before.delivery.isHeldBack
            let due =
                ends && hadToWait && after.delivery.wantsMessage && !before.isDelivering && !before.delivery.isOver
            #expect((step == .deliver) == due)
            guard !before.delivery.isOver else { return }
            if event == .resume { #expect(after.delivery.wantsMessage != before.delivery.isHeldBack) }
            if event == .release { #expect(after.delivery.wantsMessage != before.delivery.isPaused) }
        }
    }

    @Test("From every state of a call that goes on, an end that has come is told, once the reader takes what there is")
    func progress() {
        for state in explore({ _, _, _, _ in }) where state.peerHasEnded && !state.delivery.isOver {
            var delivery = state.delivery
            delivery.endDelivering()
            _ = delivery.resume()
            _ = delivery.release()
            delivery.beginDelivering()
            delivery.endDelivering()
            let step = delivery.endIfDue(holdsMessages: true)
            #expect((step == .end) == (state.endsTold == 0))
        }
    }
}
