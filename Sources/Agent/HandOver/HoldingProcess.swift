internal import Glibc
internal import LaunchPlan
internal import LinuxSystem

/// A holder at work: `HeldParcels` decides, this does it. It has one thread, and waits for its agent, for whoever connects,
/// and for the time.
package struct HoldingProcess: ~Copyable {
    /// The descriptors that the agent gives it, after standard input, output and errors, which are /dev/null.
    package static let agentDescriptor: CInt = 3
    package static let listenerDescriptor: CInt = 4

    /// How long the other side may take for one parcel, and to say that it has taken all of them.
    private static let answerMilliseconds: UInt64 = 30_000

    private var held: HeldParcels
    /// Nil once the agent has died.
    private var agent: ParcelSocket?
    private let listener: ParcelListener
    private var asking: ParcelSocket?
    private var askingDeadline: Monotonic?
    private var isOver = false

    /// Takes over the descriptors that the agent gave, and gives up what a holder needs not.
    package init() throws(ParcelError) {
        // Exceeding them is refused by `HeldParcels`, before the kernel has to.
        held = HeldParcels(HeldLimits(descriptorLimit: DescriptorLimit.raise(to: 16_384)))
        listener = ParcelListener(owning: Descriptor(owning: Self.listenerDescriptor))
        agent = try ParcelSocket(owning: Descriptor(owning: Self.agentDescriptor))
        try system { () throws(LinuxError) in try Self.confine() }
    }

    private static func confine() throws(LinuxError) {
        try Confinement.setNoNewPrivileges()
        // What it holds opens every conversation: no other process of this user may look into it.
        try Confinement.forbidTracing()
        try Confinement.clearCapabilities()
        // No file can be opened from here on. Where the kernel has no Landlock, this layer is missing.
        if LandlockRuleset.kernelVersion > 0 {
            let nothing = try LandlockRuleset()
            try nothing.restrictSelf()
        }
    }

    /// Returns when nothing is left to do.
    package mutating func run() {
        while !isOver {
            let deadline = [askingDeadline, held.deadline].compactMap { $0 }.min()
            let watched: [(descriptor: CInt, events: Readiness)] = [
                (agent?.raw ?? -1, .readable),
                (held.hears && asking == nil ? listener.raw : -1, .readable),
                (asking?.raw ?? -1, .readable),
            ]
            guard
                let ready = try? Poll.waitForAny(
                    of: watched, nanoseconds: deadline.map { Int64(clamping: $0.since(.now())) })
            else { return }
            if !ready[0].isEmpty { hearAgent() }
            if !isOver, !ready[1].isEmpty { accept() }
            if !isOver, !ready[2].isEmpty { hearAsking() }
            if let askingDeadline, askingDeadline <= .now() { loseAsking() }
            if !isOver { perform(held.timePassed(to: .now())) }
        }
    }

    private mutating func hearAgent() {
        while !isOver, let agent {
            do throws(ParcelError) {
                switch try agent.receive() {
                case .nothing: return
                case .ended: agentDied()
                case .parcel(let parcel): perform(held.heard(parcel))
                }
            } catch {
                if case .system = error { return agentDied() }
                // The agent sends what it is to send, and what came broken is not kept.
            }
        }
    }

    private mutating func agentDied() {
        agent = nil
        perform(held.agentDied(at: .now()))
    }

    private mutating func accept() {
        // One who comes now comes after the agent's death, if it has died: that is heard first.
        hearAgent()
        guard !isOver, let connected = try? listener.accept() else { return }
        asking = connected
        askingDeadline = Monotonic.now().advanced(milliseconds: Self.answerMilliseconds)
    }

    private mutating func hearAsking() {
        guard let asking else { return }
        do throws(ParcelError) {
            switch try asking.receive() {
            case .nothing: return
            case .ended: loseAsking()
            case .parcel(let parcel):
                hearAgent()
                guard !isOver else { return }
                if case .giving = held.phase {
                    perform(held.answered(parcel, at: .now()))
                } else {
                    perform(held.asked(by: parcel, at: .now()))
                }
            }
        } catch {
            loseAsking()
        }
    }

    private mutating func loseAsking() {
        asking = nil
        askingDeadline = nil
        perform(held.asksGone(at: .now()))
    }

    private mutating func perform(_ actions: [HeldParcels.Action]) {
        for action in actions {
            switch action {
            case .freeze(let parcel):
                parcel.withDescriptors { descriptors in
                    // A keeper that is gone, or has room for nothing more, is left to the next agent.
                    _ = try? Socket.sendDatagram(
                        descriptors[HeldParcels.keeperPlace], KeeperCommand.freeze.encoded(), waits: false)
                }
            case .give(let parcels):
                guard let asking else { continue }
                do throws(ParcelError) {
                    for parcel in parcels { try asking.send(parcel, withinMilliseconds: Self.answerMilliseconds) }
                    askingDeadline = Monotonic.now().advanced(milliseconds: Self.answerMilliseconds)
                } catch {
                    loseAsking()
                }
            case .confirm:
                // One that does not hear it goes on as if this process were to be started again.
                _ = try? agent?.trySend(Parcel(.taken))
            case .turnAway:
                asking = nil
                askingDeadline = nil
            case .exit: isOver = true
            }
        }
    }
}
