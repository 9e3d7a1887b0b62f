internal import EventLoop
internal import GRPC
internal import LinuxSystem

// A consumer that may come back.
extension Turn {
    /// The SHA-256 of its token; nil: it cannot be resumed.
    var resumptionDigest: [UInt8]? { resumption?.key.digest }

    /// Whether no call reads the turn, which goes on.
    var isAbsent: Bool { !isOver && reader == nil }

    /// The call that read the turn is gone, and its consumer may come back, if it asked for that: the turn goes on
    /// meanwhile. Otherwise as `abandon`.
    func isLeft() {
        guard let resumption, isHeardOf, resumption.isLeft() else { return abandon() }
        goOnWithAll(at: .awake())
    }

    /// Another turn needs its room in memory that outlives this process. Returns false where it has none.
    func giveUpWriting() -> Bool { resumption?.giveUpWriting() == true }

    /// Nobody comes back, or nobody may.
    func isGivenUp() {
        if isOver { resumption?.forget() } else { abandon() }
    }

    /// Another call reads on behind the event `after`. Throws why it cannot.
    func resume(
        after seq: UInt64, isCancel: Bool, by reader: Resumption.Reader
    ) throws(InferenceService.Resumables.Refusal) {
        guard let resumption else { throw .unknown }
        do throws(TurnReader.Refusal) {
            try state.resume(after: seq)
        } catch {
            throw .reader(error)
        }
        resumption.read(by: reader)
        reader.call.keep(encoded.count)
        passOn(all: isOver)
        if isOver {
            if state.isAcknowledged { resumption.forget() }
            resumption.finishReading()
        } else if isCancel {
            cancel()
        }
        goOnWithAll(at: .awake())
    }

    /// The consumer has all events up to this one; nil: all that it was sent. Throws why that cannot be.
    func acknowledge(_ seq: UInt64? = nil) throws(TurnReader.Refusal) {
        guard let resumption, let sent = state.reader?.sentSeq else { return }
        try state.acknowledge(seq ?? sent)
        resumption.keeps(state.ring.byteCount + encoded.count, unsent: state.unsentBytes)
        if state.isAcknowledged { resumption.forget() }
    }
}
