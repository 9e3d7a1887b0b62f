package import EventLoop
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

internal import struct Foundation.Data

/// Keeps turns that can be resumed in memory that outlives this process.
@IOLoop
package protocol TurnKeeping: AnyObject {
    /// Where this turn is written down; nil: there is no room for it.
    func keep(_ turn: UInt64) -> (any KeptTurn)?
}

/// A turn as it is written down while it goes on, as pieces of a `hearth.handover.v1.Turn`.
@IOLoop
package protocol KeptTurn: AnyObject {
    /// Adds a piece. Where there is no room for it, `whole` gives the turn with it, as short as it can be.
    func append(_ piece: [UInt8], whole: () -> [UInt8])
    /// Nobody comes back for the turn any more.
    func forget()
}

/// Writes a turn down whenever something of it has changed, before its consumer is told. Owned by its turn.
@IOLoop
final class TurnWriting {
    private let kept: any KeptTurn
    private var mark = TurnState.Mark()
    private var backend: [UInt8]?

    init(_ kept: any KeptTurn) { self.kept = kept }

    /// `whole` gives all of the turn, and `ending` how it has ended.
    func write(_ state: TurnState, backend: [UInt8]?, ending: TurnState.Ending? = nil, whole: () -> TurnRecord) {
        let isFirst = mark == TurnState.Mark()
        guard var piece = state.piece(after: &mark, isEnding: ending != nil) else { return }
        if isFirst { piece = whole() }
        if let backend, backend != self.backend {
            piece.backend = Data(backend)
            self.backend = backend
        }
        if let ending { piece.ending = .init(ending) }
        guard let bytes: [UInt8] = try? piece.serializedBytes() else { return }
        kept.append(bytes) {
            var record = whole()
            if let ending { record.ending = .init(ending) }
            return (try? record.serializedBytes()) ?? []
        }
    }

    func forget() { kept.forget() }
}

extension TurnState {
    /// What of a turn was written down.
    struct Mark: Equatable {
        fileprivate var phase: Phase?
        fileprivate var seq: UInt64 = 0
        fileprivate var appendedBytes: UInt64 = 0
        fileprivate var idBytes: [Int] = []

        fileprivate func bytes(_ choice: Int) -> Int { idBytes.indices.contains(choice) ? idBytes[choice] : 0 }
    }

    /// What has changed behind the mark, which moves on; nil: nothing.
    func piece(after mark: inout Mark, isEnding: Bool) -> TurnRecord? {
        let idBytes = choices.map { self[$0].generated.byteCount }
        guard isEnding || mark.phase != phase || mark.seq != ring.lastSeq || mark.idBytes != idBytes else { return nil }
        let before = mark
        mark.phase = phase
        mark.seq = ring.lastSeq
        mark.appendedBytes = ring.appendedBytes
        mark.idBytes = idBytes
        var piece = record(isPiece: true)
        // Those that were released meanwhile were acknowledged.
        let seq = max(before.seq, ring.releasedSeq)
        let bytes = max(before.appendedBytes, ring.appendedBytes &- UInt64(ring.byteCount))
        ring.read(after: seq, appendedBytes: bytes) { piece.events = [Data($0)] }
        piece.generated = choices.filter { idBytes[$0] > before.bytes($0) }.map { choice in
            .with {
                $0.index = UInt32(choice)
                $0.ids = Data(self[choice].generated.packed(from: before.bytes(choice)))
            }
        }
        return piece
    }
}
