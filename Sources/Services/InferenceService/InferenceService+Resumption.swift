internal import ConsumerAccess
internal import EventLoop
internal import GRPC

/// The turns whose consumers may come back.
extension InferenceService {
    typealias Resumables = ResumableTurns<Turn>

    /// Throws RESOURCE_EXHAUSTED where no more turns of this caller can be resumed.
    func makeRoom(forResumableOf caller: CallerID, byteCount: Int) throws(Status) {
        do throws(Resumables.Refusal) {
            for turn in try resumables.makeRoom(for: caller, byteCount: byteCount) { turn.isGivenUp() }
        } catch {
            throw StatusMapping.status(of: error)
        }
    }

    /// Where a turn is written down; settled ones give up their room for it. Nil: there is none.
    func writing(of turn: Turn) -> TurnWriting? {
        guard let keeper else { return nil }
        if let kept = keeper.keep(turn.number) { return TurnWriting(kept) }
        while let other = resumables.nextToGiveUp() {
            if other.giveUpWriting() { return keeper.keep(turn.number).map(TurnWriting.init) }
        }
        return nil
    }

    /// Has this call read a turn on; throws the status that refuses it. `ended` is called at the turn's end, perhaps before
    /// this returns, or when another call reads on in its place.
    func resume(
        _ request: ResumeRequest, on call: ServerCall, ended: @escaping @IOLoop (TurnState.Ending) -> Void
    ) throws(Status) -> Turn {
        guard !request.token.isEmpty else {
            throw RequestValidation.invalid("resume_token", "is empty", "that of the turn's Resumable")
        }
        do throws(Resumables.Refusal) {
            let turn = try resumables.turn(request.token, for: call.callerID)
            try turn.resume(after: request.after, isCancel: request.isCancel, by: .init(call: call, ended: ended))
            return turn
        } catch {
            throw StatusMapping.status(of: error)
        }
    }

    /// The agent is about to stop: nobody can come back any more. Turns that a call reads go on until that ends.
    package func endResumption() {
        endsResumption = true
        for turn in resumables.all where turn.isAbsent || turn.isOver { turn.isGivenUp() }
    }
}
