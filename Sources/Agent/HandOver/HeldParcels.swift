package import LinuxSystem

/// What a holder keeps, and what it does next: everything that it decides. A plain value, which knows no socket.
///
/// It keeps what its agent gives it. When that agent has died, it freezes the backends, and keeps all of it for the next
/// agent, for a stated time: then nothing is left, as without a holder. An agent that asks gets everything; until it has
/// said that it took it, another one may come in its place.
package struct HeldParcels {
    package enum Phase: Equatable, Sendable {
        /// The agent that started the holder runs.
        case serving
        /// It has died; the next one may come until this moment.
        case waiting(until: Monotonic)
        /// An agent has asked, and has got everything or is getting it, but has not said yet that it has.
        case giving(until: Monotonic)
        /// Nothing is left to do.
        case over
    }

    /// What the holder does, in this order.
    package enum Action {
        /// Have the keeper at the end of this parcel's `keeperPlace` freeze its backend.
        case freeze(Parcel)
        /// Send these to the agent that has asked.
        case give([Parcel])
        /// Tell the agent that all is kept which it has sent so far.
        case confirm
        /// Close the connection to the agent that has asked.
        case turnAway
        /// Close everything, and exit.
        case exit
    }

    /// Where the socket to the keeper is among the descriptors of a backend's parcel, which are its pidfd, its socket, its
    /// keeper's socket and its log.
    package static let keeperPlace = 2

    package private(set) var phase = Phase.serving
    /// How long they are kept once the agent has died.
    package private(set) var seconds: UInt32 = 0
    private let bounds: HeldLimits
    /// In the order in which they came.
    private var parcels: [UInt64: (order: UInt64, parcel: Parcel)] = [:]
    private var nextOrder: UInt64 = 0
    package private(set) var descriptorCount = 0
    package private(set) var byteCount = 0

    package init(_ bounds: HeldLimits) { self.bounds = bounds }

    package var count: Int { parcels.count }

    /// In the order in which they came.
    package var all: [Parcel] { parcels.values.sorted { $0.order < $1.order }.map(\.parcel) }

    /// Keeps a parcel, in the place of the one with the same key if there is one. Returns false, and keeps the earlier one,
    /// where that would be too much.
    package mutating func keep(_ parcel: Parcel) -> Bool {
        let earlier = parcels[parcel.key]
        let descriptors = descriptorCount - (earlier?.parcel.descriptorCount ?? 0) + parcel.descriptorCount
        let bytes = byteCount - (earlier?.parcel.bytes.count ?? 0) + parcel.bytes.count
        let number = parcels.count + (earlier == nil ? 1 : 0)
        guard number <= bounds.survivorsMax, descriptors <= bounds.survivorDescriptorsMax,
            bytes <= bounds.survivorBytesMax
        else {
            return false
        }
        parcels[parcel.key] = (earlier?.order ?? nextOrder, parcel)
        nextOrder += 1
        (descriptorCount, byteCount) = (descriptors, bytes)
        return true
    }

    /// Lets go of a parcel, if there is one with this key.
    package mutating func forget(_ key: UInt64) {
        guard let (_, parcel) = parcels.removeValue(forKey: key) else { return }
        descriptorCount -= parcel.descriptorCount
        byteCount -= parcel.bytes.count
    }

    private mutating func end() -> [Action] {
        phase = .over
        parcels = [:]
        (descriptorCount, byteCount) = (0, 0)
        return [.exit]
    }
}

// What may happen to a holder.
extension HeldParcels {
    /// Its agent has sent a parcel.
    package mutating func heard(_ parcel: Parcel) -> [Action] {
        guard phase == .serving else { return [] }
        switch parcel.kind {
        case .hello:
            // A later version of this program is no part of the same installation, and neither is an earlier one.
            guard let hello = HolderHello(parcel.bytes), hello.isUnderstood else { return end() }
            seconds = hello.seconds
            return []
        case .listener, .backend, .turn:
            _ = keep(parcel)
            return []
        case .forget:
            forget(parcel.key)
            return []
        case .end: return [.confirm]
        case .farewell: return end()
        // They are of a conversation between agents.
        case .taken, .given, .relay: return []
        }
    }

    /// Its agent's end of the socket is closed: it has died, as it said no farewell.
    package mutating func agentDied(at now: Monotonic) -> [Action] {
        guard phase == .serving else { return [] }
        guard !parcels.isEmpty, seconds > 0 else { return end() }
        phase = .waiting(until: now.advanced(milliseconds: UInt64(seconds) * 1000))
        return all.filter { $0.kind == .backend && $0.descriptorCount > Self.keeperPlace }.map { .freeze($0) }
    }

    /// Whether an agent that connects is to be heard now. One that comes while another one takes what is held waits.
    package var hears: Bool {
        switch phase {
        case .serving, .waiting: true
        case .giving, .over: false
        }
    }

    /// A process that has connected has said something first.
    package mutating func asked(by parcel: Parcel, at now: Monotonic) -> [Action] {
        switch phase {
        case .giving, .over: return [.turnAway]
        // The agent lives, and nothing is to be had. It is said, so that nobody waits for an answer.
        case .serving: return [.give([Parcel(.farewell)]), .turnAway]
        case .waiting(let deadline):
            guard parcel.kind == .hello, let hello = HolderHello(parcel.bytes), hello.isUnderstood else {
                return [.give([Parcel(.farewell)]), .turnAway]
            }
            phase = .giving(until: deadline)
            return [.give([Parcel(.hello, HolderHello(seconds: seconds).bytes)] + all + [Parcel(.end)])]
        }
    }

    /// The agent that is getting everything has said something more.
    package mutating func answered(_ parcel: Parcel, at now: Monotonic) -> [Action] {
        guard case .giving = phase else { return [] }
        guard parcel.kind == .taken else { return [.turnAway] + asksGone(at: now) }
        return [.give([Parcel(.given)])] + end()
    }

    /// The agent that is getting everything has gone, or has not answered for too long: the next one may come.
    package mutating func asksGone(at now: Monotonic) -> [Action] {
        guard case .giving(let deadline) = phase else { return [] }
        phase = .waiting(until: deadline)
        return timePassed(to: now)
    }

    /// The moment at which `timePassed` is to be called.
    package var deadline: Monotonic? { if case .waiting(let deadline) = phase { deadline } else { nil } }

    package mutating func timePassed(to now: Monotonic) -> [Action] {
        guard case .waiting(let deadline) = phase, deadline <= now else { return [] }
        return end()
    }
}

/// The message of a `hello` between an agent and a holder: its version, and for how many seconds what is held is kept. Two
/// numbers of 32 bits; more may follow, which is ignored.
package struct HolderHello: Equatable, Sendable {
    package static let version: UInt32 = 1

    package let version: UInt32
    package let seconds: UInt32

    package init(seconds: UInt32, version: UInt32 = Self.version) {
        self.version = version
        self.seconds = seconds
    }

    package init?(_ bytes: [UInt8]) {
        guard bytes.count >= 8 else { return nil }
        (version, seconds) = bytes.withUnsafeBytes {
            ($0.loadUnaligned(as: UInt32.self), $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        }
    }

    package var isUnderstood: Bool { version == Self.version }

    package var bytes: [UInt8] {
        withUnsafeBytes(of: version) { Array($0) } + withUnsafeBytes(of: seconds) { Array($0) }
    }
}
