internal import HandOver
internal import InferenceMessages
internal import SwiftProtobuf

/// The conversation in which this agent passes everything on to another one: what comes or happens, and what is done then. A
/// plain value, which knows no socket; `TakingOver` is the other end of it.
///
/// Until the other agent has said that it has taken everything, any fault of it has this one go on as it was. From then on
/// nothing has: what was passed on is the other one's.
struct HandingOver {
    enum Phase: Equatable {
        /// Everything is told that changes nothing here, and the other agent is to say where calls go on.
        case describing
        /// It has said so, and is connected to there.
        case connecting
        /// The backends stand still; it is to say that it has taken them.
        case giving
        /// It has everything, and the calls are on their way to it.
        case passing
        /// They are there, or nobody is spoken to any more.
        case over
        /// This agent goes on as it was.
        case brokenOff
    }

    enum Event {
        case came(Parcel)
        /// The other end of the socket is closed.
        case closed
        /// An action failed, a parcel was not understood, time is over, or this agent ends.
        case failed(String)
        /// Calls can be passed on to the other agent.
        case connected
        /// It has all of them.
        case callsPassed
    }

    /// What is done, in this order. One that fails ends those behind it, with the event `failed`.
    enum Action {
        /// Say hello, and give the listeners.
        case describe
        /// Connect to where the calls go on, on this parcel's socket; `connected` is due.
        case connect(Parcel)
        /// Have the backends stand still, and give them.
        case giveBackends
        /// All of it is the other agent's.
        case letGo
        case say(Parcel.Kind)
        /// Wait for the calls that were passed on; `callsPassed` is due.
        case passCalls
        /// Have the backends go on here.
        case goOnAlone
        /// Tell the other agent why this one goes on.
        case refuse(String)
    }

    /// What is said is of this revision of hearth.handover.v1.
    static let revision: UInt32 = 1
    /// How long the other agent may take for one parcel, and how long while backends stand still.
    static let answerMilliseconds: UInt64 = 20_000
    private static let takenMilliseconds: UInt64 = 10_000

    private(set) var phase = Phase.describing

    /// How long the next parcel may take; nil: none is awaited.
    var patienceMilliseconds: UInt64? {
        switch phase {
        case .describing: Self.answerMilliseconds
        case .giving: Self.takenMilliseconds
        case .connecting, .passing, .over, .brokenOff: nil
        }
    }

    /// Whether nothing of it is undone any more.
    var hasLetGo: Bool { phase == .passing || phase == .over }

    func begin() -> [Action] { [.describe] }

    mutating func take(_ event: Event) -> [Action] {
        switch (phase, event) {
        case (.describing, .came(let relay)) where relay.kind == .relay && relay.descriptorCount > 0:
            phase = .connecting
            return [.connect(relay)]
        case (.connecting, .connected):
            phase = .giving
            return [.giveBackends]
        case (.giving, .came(let parcel)) where parcel.kind == .taken:
            phase = .passing
            return [.letGo, .say(.given), .passCalls]
        case (.passing, .callsPassed):
            phase = .over
            return [.say(.end)]
        case (.passing, _):
            // The other agent is gone, with all that it has.
            phase = .over
            return []
        case (.over, _), (.brokenOff, _): return []
        case (.describing, _), (.connecting, _), (.giving, _): return breakOff(because: event.fault)
        }
    }

    private mutating func breakOff(because why: String) -> [Action] {
        defer { phase = .brokenOff }
        return phase == .giving ? [.goOnAlone, .refuse(why)] : [.refuse(why)]
    }
}

extension HandingOver.Event {
    /// Why an event that is not as it should be ends the conversation.
    fileprivate var fault: String {
        switch self {
        case .came(let parcel) where parcel.kind == .farewell: Refusal.reason(in: parcel)
        case .came(let parcel): "it says '\(parcel.kind)', which is not its turn"
        case .closed: "it has broken off"
        case .failed(let why): why
        case .connected, .callsPassed: "it is connected at the wrong time"
        }
    }
}

/// The message of a `farewell` between agents.
enum Refusal {
    static func parcel(because why: String) -> Parcel {
        let message = Hearth_Handover_V1_Refusal.with { $0.message = why }
        return Parcel(.farewell, (try? message.serializedBytes()) ?? [])
    }

    static func reason(in parcel: Parcel) -> String {
        let message = (try? Hearth_Handover_V1_Refusal(serializedBytes: parcel.bytes))?.message ?? ""
        return message.isEmpty ? "it gives no reason" : message
    }
}
