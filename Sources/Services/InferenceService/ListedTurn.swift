internal import BackendSupervisor
package import ConsumerAccess
internal import EventLoop
package import GRPC
internal import LinuxSystem
internal import TLSSession

/// What the owner is told of a request of a consumer: for whom it is and how far it is, and nothing of what was asked or
/// answered.
package struct ListedTurn: Equatable, Sendable {
    package enum Task: String, Sendable { case generate, embed, rerank }

    /// Whether it computes.
    package enum Standing: Equatable, Sendable {
        /// So many are served before it.
        case waiting(position: Int)
        case running
        /// The owner's pause has it stand still.
        case paused
        /// Its process is lost, and another one is to go on with it.
        case interrupted
    }

    /// For whom it is.
    package struct Caller: Equatable, Sendable {
        package enum Kind: String, Sendable { case key, certificate, none }

        package let kind: Kind
        /// The key's name or the certificate's first name; without either where it came from, if that is known.
        package let name: String
        package let isOverHTTP: Bool
    }

    package let number: UInt64
    package let task: Task
    package let caller: Caller
    package let model: String
    package let standing: Standing
    package let priority: RequestPriority
    package var choices = 1
    /// Nil until its backend has told.
    package var promptTokens: UInt32?
    package var tokens: UInt32 = 0
    package let ageMilliseconds: UInt64
    /// Nil while it has not begun.
    package let runningMilliseconds: UInt64?
    /// No call reads it: its consumer is gone, and may come back.
    package var isAbsent = false

    /// Since it began.
    package var tokensPerSecond: Double {
        guard let runningMilliseconds, runningMilliseconds > 0 else { return 0 }
        return Double(tokens) * 1_000 / Double(runningMilliseconds)
    }
}

extension ListedTurn.Caller {
    private static let nameBytesMax = 256

    /// `bridged`: the server of those who come by the HTTP bridge, where the peer is the bridge.
    @IOLoop
    static func of(_ call: ServerCall, over bridged: Server) -> ListedTurn.Caller {
        if let passed = call.caller as? PassedCaller { return passed.shown }
        let isOverHTTP = call.isServed(by: bridged)
        if let consumer = call.caller as? Consumer {
            return ListedTurn.Caller(kind: .key, name: consumer.key.name, isOverHTTP: isOverHTTP)
        }
        if let name = call.peerCertificate?.names.first {
            return ListedTurn.Caller(
                kind: .certificate, name: String(decoding: name.utf8.prefix(nameBytesMax), as: UTF8.self),
                isOverHTTP: isOverHTTP)
        }
        return ListedTurn.Caller(
            kind: .none, name: isOverHTTP ? "" : call.callerID.description, isOverHTTP: isOverHTTP)
    }
}

extension ModelQueue {
    /// Those that have begun.
    func listRunning(over bridged: Server, at now: Monotonic) -> [ListedTurn] {
        let isPaused = supervisor.hold.pause != nil
        return queue.running.values.map { turn in
            turn.listed(isPaused ? .paused : turn.isInterrupted ? .interrupted : .running, over: bridged, at: now)
        }
            + embeddings.running.values.map { embedding in
                embedding.listed(
                    isPaused ? .paused : embedding.isInterrupted ? .interrupted : .running, over: bridged, at: now)
            }
    }

    /// Those that wait, in the order in which they are served, but no more than so many.
    func listWaiting(most: Int, over bridged: Server, at now: Monotonic) -> [ListedTurn] {
        guard most > 0, count > 0 else { return [] }
        let before = queue.begun == nil ? 0 : 1
        let turns = queue.waiting.inOrder.prefix(most).enumerated().map { index, turn in
            turn.listed(.waiting(position: index + before), over: bridged, at: now)
        }
        let rest = embeddings.waiting.inOrder.prefix(most - turns.count).enumerated().map { index, embedding in
            embedding.listed(.waiting(position: index), over: bridged, at: now)
        }
        return turns + rest
    }
}

extension InferenceService {
    /// The requests of consumers that run, in the order in which they came, then those that wait, by model and in the order in
    /// which they are served, but no more than so many; and the number of all. `bridged`: the server of the HTTP bridge.
    package func turns(most: Int, over bridged: Server) -> (turns: [ListedTurn], count: Int) {
        let now = Monotonic.awake()
        let queues = queuesByModel
        var turns = queues.flatMap { $0.listRunning(over: bridged, at: now) }.sorted { $0.number < $1.number }
        for queue in queues where turns.count < most {
            turns += queue.listWaiting(most: most - turns.count, over: bridged, at: now)
        }
        let load = load
        return (Array(turns.prefix(most)), load.running + load.waiting)
    }
}
