/// What the owner has asked of the whole agent, until `resume`: to stop computing, and to take no new requests. Neither
/// ends the other; `resume` ends both. Pure.
package struct OwnerHold: Equatable, Sendable {
    /// How computing has stopped.
    package enum Pause: String, CaseIterable, Sendable {
        /// The processes of backends stand still and keep their memory.
        case frozen
        /// They have ended.
        case unloaded
    }

    package enum Request: Equatable, Sendable {
        case pause(unloading: Bool)
        case drain
        case resume
    }

    /// The action of the supervisor.
    package enum Action: Equatable, Sendable {
        /// Have every backend pause as `pause` says.
        case pause
        case goOn
    }

    /// Nil: backends compute.
    package private(set) var pause: Pause?
    /// New requests are refused.
    package private(set) var isDraining = false

    package init(pause: Pause? = nil, isDraining: Bool = false) {
        self.pause = pause
        self.isDraining = isDraining
    }

    /// Whether the agent does all that it can.
    package var isEmpty: Bool { pause == nil && !isDraining }

    /// Takes the owner's wish; returns what is to be done about the backends.
    package mutating func take(_ request: Request) -> Action? {
        switch request {
        case .drain:
            isDraining = true
            return nil
        case .pause(let unloading):
            // What has ended does not come back to stand still.
            guard pause == nil || unloading, pause != .unloaded else { return nil }
            pause = unloading ? .unloaded : .frozen
            return .pause
        case .resume:
            let wasPaused = pause != nil
            self = OwnerHold()
            return wasPaused ? .goOn : nil
        }
    }

    /// What is in force, for the log and for errors; empty when nothing is.
    package var words: String {
        let paused: String? =
            switch pause {
            case .frozen: "paused: its backends stand still and keep their memory"
            case .unloaded: "paused: its backends have ended and their memory is free"
            case nil: nil
            }
        return [paused, isDraining ? "draining: it takes no new requests" : nil].compactMap { $0 }
            .joined(separator: "; ")
    }
}
