import Glibc
import HandOver
import InferenceMessages
import SwiftProtobuf
import Testing

@testable import HostAgent

/// A parcel of each kind, in the order of their numbers, with descriptors where one of the kind has some.
func everyParcel() -> [Parcel] {
    Parcel.Kind.allCases.map { kind in
        switch kind {
        case .relay, .listener, .backend: Parcel(kind, owning: [dup(STDERR_FILENO)])
        default: Parcel(kind)
        }
    }
}

struct HandingOverTests {
    private static let relay = Parcel(.relay, owning: [dup(STDERR_FILENO)])
    private static let taken = Parcel(.taken)

    /// The conversation as far as this phase, as it should be.
    private static func talk(_ phase: HandingOver.Phase) -> HandingOver {
        var talk = HandingOver()
        let events: [(HandingOver.Phase, HandingOver.Event)] = [
            (.describing, .came(relay)), (.connecting, .connected), (.giving, .came(taken)), (.passing, .callsPassed),
        ]
        for (before, event) in events where talk.phase != phase {
            #expect(talk.phase == before)
            _ = talk.take(event)
        }
        #expect(talk.phase == phase)
        return talk
    }

    private static func words(_ actions: [HandingOver.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .describe: "describe"
            case .connect: "connect"
            case .giveBackends: "give backends"
            case .letGo: "let go"
            case .say(let kind): "say \(kind)"
            case .passCalls: "pass calls"
            case .goOnAlone: "go on alone"
            case .refuse(let why): "refuse: \(why)"
            }
        }
    }

    @Test func `everything passes on in one order`() {
        var talk = HandingOver()
        #expect(Self.words(talk.begin()) == ["describe"])
        #expect(Self.words(talk.take(.came(Self.relay))) == ["connect"])
        #expect(Self.words(talk.take(.connected)) == ["give backends"])
        #expect(!talk.hasLetGo)
        #expect(Self.words(talk.take(.came(Self.taken))) == ["let go", "say given", "pass calls"])
        #expect(talk.hasLetGo)
        #expect(Self.words(talk.take(.callsPassed)) == ["say end"])
        #expect(talk.phase == .over)
    }

    @Test func `it waits for the other agent only where that is to speak, and shorter while backends stand still`() {
        #expect(Self.talk(.describing).patienceMilliseconds == 20_000)
        #expect(Self.talk(.giving).patienceMilliseconds == 10_000)
        for phase in [HandingOver.Phase.connecting, .passing, .over] {
            #expect(Self.talk(phase).patienceMilliseconds == nil)
        }
    }

    @Test(arguments: [HandingOver.Phase.describing, .connecting, .giving])
    func `whatever comes out of turn has the agent go on as it was`(_ phase: HandingOver.Phase) {
        let expected: Parcel.Kind? = phase == .describing ? .relay : phase == .giving ? .taken : nil
        for parcel in everyParcel() where parcel.kind != expected {
            var talk = Self.talk(phase)
            let why =
                parcel.kind == .farewell ? "it gives no reason" : "it says '\(parcel.kind)', which is not its turn"
            let actions = Self.words(talk.take(.came(parcel)))
            #expect(actions == (phase == .giving ? ["go on alone"] : []) + ["refuse: \(why)"])
            expectBrokenOff(talk)
        }
    }

    @Test(arguments: [HandingOver.Phase.describing, .connecting, .giving])
    func `an end, a failure and the time have the agent go on as it was`(_ phase: HandingOver.Phase) {
        let events: [(HandingOver.Event, String)] = [
            (.closed, "it has broken off"), (.failed("this agent ends"), "this agent ends"),
            (.came(Refusal.parcel(because: "'echo' would not be served")), "'echo' would not be served"),
        ]
        for (event, why) in events {
            var talk = Self.talk(phase)
            let actions = Self.words(talk.take(event))
            #expect(actions == (phase == .giving ? ["go on alone"] : []) + ["refuse: \(why)"])
            expectBrokenOff(talk)
        }
    }

    /// Nothing that comes later has any effect.
    private func expectBrokenOff(_ before: HandingOver) {
        var talk = before
        #expect(talk.phase == .brokenOff)
        #expect(!talk.hasLetGo)
        #expect(talk.patienceMilliseconds == nil)
        for parcel in everyParcel() { #expect(talk.take(.came(parcel)).isEmpty) }
        for event in [HandingOver.Event.connected, .callsPassed, .closed, .failed("late")] {
            #expect(talk.take(event).isEmpty)
        }
        #expect(talk.phase == .brokenOff)
    }

    @Test func `a place for the calls without a socket is none`() {
        var talk = HandingOver()
        #expect(Self.words(talk.take(.came(Parcel(.relay)))) == ["refuse: it says 'relay', which is not its turn"])
        #expect(talk.phase == .brokenOff)
    }

    @Test func `once it has let go nothing has it go on`() {
        for event in everyParcel().map(HandingOver.Event.came) + [.closed, .failed("gone")] {
            var talk = Self.talk(.passing)
            #expect(talk.take(event).isEmpty)
            #expect(talk.phase == .over)
            #expect(talk.hasLetGo)
            #expect(talk.take(.callsPassed).isEmpty)
        }
    }
}
