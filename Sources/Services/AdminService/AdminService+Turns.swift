internal import ConsumerAccess
internal import EventLoop
internal import InferenceMessages
internal import InferenceService
internal import SwiftProtobuf

// For whom this host computes.
extension AdminService {
    private static let turnsMax = 1_000

    func listTurns() -> Hearth_Admin_V1_ListTurnsResponse {
        let (turns, count) = inference.turns(most: Self.turnsMax, over: bridged)
        return .with {
            $0.turns = turns.map(AdminAnswers.described)
            $0.count = UInt32(clamping: count)
        }
    }
}

extension AdminAnswers {
    static func described(_ turn: ListedTurn) -> Hearth_Admin_V1_Turn {
        .with {
            $0.number = turn.number
            $0.task = turn.task.rawValue
            $0.callerKind = turn.caller.kind.rawValue
            $0.caller = turn.caller.name
            $0.through = turn.caller.isOverHTTP ? "http" : "grpc"
            $0.model = turn.model
            switch turn.standing {
            case .waiting(let position):
                $0.state = "waiting"
                $0.position = UInt32(clamping: position)
            case .running: $0.state = "running"
            case .paused: $0.state = "paused"
            case .interrupted: $0.state = "interrupted"
            }
            $0.choices = UInt32(clamping: turn.choices)
            if let tokens = turn.promptTokens { $0.promptTokens = tokens }
            $0.tokens = turn.tokens
            $0.ageMilliseconds = turn.ageMilliseconds
            if let running = turn.runningMilliseconds { $0.runningMilliseconds = running }
            $0.tokensPerSecond = Float(turn.tokensPerSecond)
            $0.priority = turn.priority.rawValue
            $0.isAbsent = turn.isAbsent
        }
    }
}
