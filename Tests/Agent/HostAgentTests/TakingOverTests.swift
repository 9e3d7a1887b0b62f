import Glibc
import HandOver
import InferenceMessages
import LinuxSystem
import SwiftProtobuf
import Testing

@testable import HostAgent

struct TakingOverTests {
    private static func hello(_ revision: UInt32 = HandingOver.revision) throws -> Parcel {
        Parcel(.hello, try Hearth_Handover_V1_Hello.with { $0.revision = revision }.serializedBytes())
    }

    private static func listener(_ address: String = "127.0.0.1:7", withSocket: Bool = true) throws -> Parcel {
        let message = Hearth_Handover_V1_Listener.with {
            $0.role = .consumers
            $0.asked = "127.0.0.1:0"
            $0.address = address
        }
        return Parcel(.listener, try message.serializedBytes(), owning: withSocket ? [dup(STDERR_FILENO)] : [])
    }

    private static let bound = TakingOver.Event.bound(Parcel(.relay))

    /// The conversation as far as this phase, as it should be.
    private static func talk(_ phase: TakingOver.Phase) throws -> TakingOver {
        var talk = TakingOver()
        let events: [(TakingOver.Phase, TakingOver.Event)] = [
            (.greeting, .came(try hello())), (.listeners, .came(Parcel(.end))), (.binding, bound),
            (.backends, .came(Parcel(.end))), (.taken, .came(Parcel(.given))), (.calls, .came(Parcel(.end))),
        ]
        for (before, event) in events where talk.phase != phase {
            #expect(talk.phase == before)
            _ = talk.take(event)
        }
        #expect(talk.phase == phase)
        return talk
    }

    private static func words(_ actions: [TakingOver.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .keep: "keep listener"
            case .keepBackend: "keep backend"
            case .send(let parcel): "send \(parcel.kind)"
            case .giveUp(let why): "give up: \(why)"
            }
        }
    }

    @Test func `everything is taken in one order`() throws {
        var talk = TakingOver()
        #expect(talk.take(.came(try Self.hello())).isEmpty)
        for _ in 0..<2 { #expect(Self.words(talk.take(.came(try Self.listener()))) == ["keep listener"]) }
        #expect(talk.take(.came(Parcel(.end))).isEmpty)
        #expect(talk.phase == .binding)
        #expect(Self.words(talk.take(Self.bound)) == ["send relay"])
        for _ in 0..<2 { #expect(Self.words(talk.take(.came(Parcel(.backend)))) == ["keep backend"]) }
        let hold = Hearth_Handover_V1_Hold.with { $0.pause = "frozen" }
        #expect(Self.words(talk.take(.came(Parcel(.end, try hold.serializedBytes())))) == ["send taken"])
        #expect(talk.hold == hold)
        #expect(talk.take(.came(Parcel(.given))).isEmpty)
        #expect(talk.phase == .calls)
        #expect(talk.take(.came(Parcel(.end))).isEmpty)
        #expect(talk.phase == .over)
        #expect(!talk.hasDied)
    }

    @Test func `only the word of the other agent tells whether it has let go`() throws {
        for phase in [TakingOver.Phase.greeting, .listeners, .backends, .calls] {
            #expect(try Self.talk(phase).patienceMilliseconds == 20_000)
        }
        #expect(try Self.talk(.taken).patienceMilliseconds == nil)
    }

    @Test(arguments: [TakingOver.Phase.greeting, .listeners, .binding, .backends, .taken])
    func `whatever comes out of turn has this agent give up`(_ phase: TakingOver.Phase) throws {
        let expected: [TakingOver.Phase: Set<Parcel.Kind>] = [
            .greeting: [.hello], .listeners: [.listener, .end], .backends: [.backend, .end], .taken: [.given],
        ]
        for parcel in everyParcel() where expected[phase]?.contains(parcel.kind) != true {
            let why =
                parcel.kind == .farewell ? "it gives no reason" : "it says '\(parcel.kind)', which is not its turn"
            try expectGivenUp(phase, .came(parcel), why)
        }
        try expectGivenUp(phase, .failed("time is over"), "time is over")
        try expectGivenUp(phase, .came(Refusal.parcel(because: "it ends")), "it ends")
        if phase != .taken { try expectGivenUp(phase, .closed, "it has broken off") }
        if phase != .binding { try expectGivenUp(phase, Self.bound, "it has not given its listeners yet") }
    }

    /// The other agent goes on: this one says that it has taken everything neither now nor later.
    private func expectGivenUp(_ phase: TakingOver.Phase, _ event: TakingOver.Event, _ why: String) throws {
        var talk = try Self.talk(phase)
        #expect(Self.words(talk.take(event)) == ["give up: \(why)"])
        #expect(talk.phase == .givenUp)
        for event in everyParcel().map(TakingOver.Event.came) + [.closed, .failed("late"), Self.bound] {
            #expect(talk.take(event).isEmpty)
        }
        #expect(talk.phase == .givenUp)
    }

    @Test func `what this version does not understand has it give up`() throws {
        for hello in [try Self.hello(2), try Self.hello(0), Parcel(.hello, [0xff])] {
            let why = "it passes on what this version does not understand: end it with 'hearth stop'"
            try expectGivenUp(.greeting, .came(hello), why)
        }
        let listeners = [
            try Self.listener("nowhere"), try Self.listener(withSocket: false), Parcel(.listener, [0xff]),
        ]
        for listener in listeners {
            let why = "it passes on a listener that this version does not understand"
            try expectGivenUp(.listeners, .came(listener), why)
        }
        // What its owner has asked of it is no reason.
        var talk = try Self.talk(.backends)
        #expect(Self.words(talk.take(.came(Parcel(.end, [0xff])))) == ["send taken"])
        #expect(talk.hold == Hearth_Handover_V1_Hold())
    }

    @Test func `where the other agent dies before it has let go, all is this one's`() throws {
        var talk = try Self.talk(.taken)
        #expect(talk.take(.closed).isEmpty)
        #expect(talk.phase == .over)
        #expect(talk.hasDied)
    }

    @Test func `nothing undoes it once the other agent has let go`() throws {
        for event in [TakingOver.Event.closed, .failed("time is over"), .came(Parcel(.end))] {
            var talk = try Self.talk(.calls)
            #expect(talk.take(event).isEmpty)
            #expect(talk.phase == .over)
            #expect(!talk.hasDied)
        }
        // A later version may say more.
        for parcel in everyParcel() where parcel.kind != .end {
            var talk = try Self.talk(.calls)
            #expect(talk.take(.came(parcel)).isEmpty)
            #expect(talk.phase == .calls)
        }
    }

    @Test func `a listener is found by the address that was asked for and by the one that it has, and taken once`()
        throws
    {
        let listener = try #require(InheritedListener(try Self.listener()))
        #expect(listener.role == .consumers)
        #expect(listener.listens(for: try SocketAddress("127.0.0.1:0")))
        #expect(listener.listens(for: try SocketAddress("127.0.0.1:7")))
        #expect(!listener.listens(for: try SocketAddress("127.0.0.1:8")))
        let isThere = listener.take() != nil
        let isThereTwice = listener.take() != nil
        #expect(isThere && !isThereTwice)
    }
}
