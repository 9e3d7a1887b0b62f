import GRPC
import InferenceMessages
import SwiftProtobuf
import Testing

@testable import InferenceService

extension TurnState {
    /// Takes what is in the ring, as a call does.
    mutating func takeEvents(byteCount: Int = .max) -> [Hearth_V1_ChatEvent] {
        var events: [Hearth_V1_ChatEvent] = []
        _ = take(after: ring.releasedSeq, byteCount: byteCount) { bytes in
            var rest = bytes
            while !rest.isEmpty {
                let end = MessagePrefix.byteCount + MessagePrefix.messageByteCount(rest)
                let message = Array(rest[MessagePrefix.byteCount..<end])
                do {
                    events.append(try Hearth_V1_ChatEvent(serializedBytes: message))
                } catch {
                    Issue.record("\(message) is no event: \(error)")
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[end...])
            }
        }
        return events
    }
}
