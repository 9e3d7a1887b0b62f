internal import HandOver
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf

/// The conversation in which this agent takes the place of another one: what comes or happens, and what is done then. A plain
/// value, which knows no socket; `HandingOver` is the other end of it.
///
/// Until this agent has said that it has taken everything, it may give up at any time, and the other one goes on as it was.
/// From then on the other one decides: it lets go, or says that it goes on. Where it dies, all is this agent's.
struct TakingOver {
    enum Phase: Equatable {
        /// The other agent is to say hello.
        case greeting
        /// It gives its listeners, and says when these are all.
        case listeners
        /// This agent binds what else it needs.
        case binding
        /// The other one gives its backends, which stand still, and says when these are all.
        case backends
        /// It was told that everything is taken, and is to let go.
        case taken
        /// It has, and passes its calls on.
        case calls
        /// It has nothing left.
        case over
        /// This agent does not take its place.
        case givenUp
    }

    enum Event {
        case came(Parcel)
        /// The other end of the socket is closed.
        case closed
        /// An action failed, a parcel was not understood, or time is over.
        case failed(String)
        /// Every address is bound; this parcel says where calls go on.
        case bound(Parcel)
    }

    /// What is done, in this order.
    enum Action {
        case keep(InheritedListener)
        /// Keep a backend.
        case keepBackend(Parcel)
        case send(Parcel)
        /// Why this agent does not take the other one's place.
        case giveUp(String)
    }

    private(set) var phase = Phase.greeting
    /// What its owner has asked of the other agent.
    private(set) var hold = Hearth_Handover_V1_Hold()
    /// What the other agent has said as it let go.
    private(set) var given = Hearth_Handover_V1_Given()
    /// The other agent has died before it could let go of what this one has taken.
    private(set) var hasDied = false

    /// How long the next parcel may take; nil: for ever. Nobody but the other agent knows whether it has let go: who did not
    /// wait for it would lose what it has let go of, or have what it goes on with.
    var patienceMilliseconds: UInt64? { phase == .taken ? nil : HandingOver.answerMilliseconds }

    mutating func take(_ event: Event) -> [Action] {
        switch (phase, event) {
        case (.greeting, .came(let hello)) where hello.kind == .hello:
            let revision = (try? Hearth_Handover_V1_Hello(serializedBytes: hello.bytes))?.revision
            guard revision == HandingOver.revision else {
                return giveUp("it passes on what this version does not understand: end it with 'hearth stop'")
            }
            phase = .listeners
        case (.listeners, .came(let parcel)) where parcel.kind == .listener:
            guard let listener = InheritedListener(parcel) else {
                return giveUp("it passes on a listener that this version does not understand")
            }
            return [.keep(listener)]
        case (.listeners, .came(let parcel)) where parcel.kind == .end: phase = .binding
        case (.binding, .bound(let relay)):
            phase = .backends
            return [.send(relay)]
        case (.backends, .came(let parcel)) where parcel.kind == .backend: return [.keepBackend(parcel)]
        case (.backends, .came(let parcel)) where parcel.kind == .end:
            hold = (try? Hearth_Handover_V1_Hold(serializedBytes: parcel.bytes)) ?? hold
            phase = .taken
            return [.send(Parcel(.taken))]
        case (.taken, .came(let parcel)) where parcel.kind == .given:
            given = (try? Hearth_Handover_V1_Given(serializedBytes: parcel.bytes)) ?? given
            phase = .calls
        case (.taken, .closed): (phase, hasDied) = (.over, true)
        // A later version may say more.
        case (.calls, .came(let parcel)) where parcel.kind != .end: break
        case (.calls, _): phase = .over
        case (.over, _), (.givenUp, _): break
        case (.greeting, _), (.listeners, _), (.binding, _), (.backends, _), (.taken, _): return giveUp(event.fault)
        }
        return []
    }

    private mutating func giveUp(_ why: String) -> [Action] {
        phase = .givenUp
        return [.giveUp(why)]
    }
}

extension TakingOver.Event {
    /// Why an event that is not as it should be ends the conversation.
    fileprivate var fault: String {
        switch self {
        case .came(let parcel) where parcel.kind == .farewell: Refusal.reason(in: parcel)
        case .came(let parcel): "it says '\(parcel.kind)', which is not its turn"
        case .closed: "it has broken off"
        case .failed(let why): why
        case .bound: "it has not given its listeners yet"
        }
    }
}

/// A listening socket of the other agent, until it is taken.
struct InheritedListener {
    let role: Hearth_Handover_V1_Listener.Role
    private let asked: String
    private let address: SocketAddress
    private let parcel: Parcel

    /// Nil where it is not understood.
    init?(_ parcel: Parcel) {
        guard let message = try? Hearth_Handover_V1_Listener(serializedBytes: parcel.bytes),
            let address = try? SocketAddress(message.address), parcel.descriptorCount > 0
        else { return nil }
        (role, asked, self.address, self.parcel) = (message.role, message.asked, address, parcel)
    }

    func listens(for address: SocketAddress) -> Bool { asked == address.description || self.address == address }

    /// Its socket, once.
    func take() -> BoundSocket? {
        guard let descriptor = parcel.take(0) else { return nil }
        return BoundSocket(descriptor: descriptor, address: address)
    }
}
