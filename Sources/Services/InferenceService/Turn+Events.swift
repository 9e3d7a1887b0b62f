internal import BackendIPC
internal import BackendSupervisor
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import LinuxSystem
internal import TraceExport

// What comes of a turn: from its backend, from its consumer, and what is done then.
// MARK: - The backend's side

extension Turn {
    func received(_ run: TokenRunView) {
        let now = Monotonic.awake()
        let actions = state.came(run, choice: 0, at: now)
        passOnToCall()
        perform(actions)
        goOnForCall(choice: 0, at: now)
    }

    func finished(_ finish: Finish) { finished(finish, choice: 0) }

    func lost(_ loss: SequenceLoss) { lost(loss, choice: 0) }

    private func received(_ run: TokenRunView, choice: Int) {
        let now = Monotonic.awake()
        let actions = state.came(run, choice: choice, at: now)
        passOn()
        perform(actions)
        goOn(choice: choice, at: now)
    }

    private func finished(_ finish: Finish, choice: Int) {
        set(nil, of: choice)
        let actions = state.finished(finish, choice: choice, at: .awake())
        // Of the last choice the events go with the end.
        if actions.ending == nil { passOn() }
        perform(actions)
    }

    private func lost(_ loss: SequenceLoss, choice: Int) {
        set(nil, of: choice)
        trace?.note(.backendLost, at: .awake())
        let wasSuspect = isSuspect
        let actions = state.lost(
            choice: choice,
            .init(status: service.lost(model: model), isFailure: loss.isFailure, wasAlone: loss.wasAlone), at: .awake())
        if isInterrupted {
            toolCalls[choice] = loss.toolCalls
            service.interrupted(self)
        } else if wasSuspect, case .failed(let status) = actions.ending, status.code == .internalError {
            process?.blame(theRequest: loss.reason, trace: logMetadata)
        }
        if actions.ending == nil { passOn() }
        perform(actions)
    }

    /// Passes on what the backend sends of another choice than the first, or of a turn that can be resumed: apart from most
    /// turns, whose tokens need not know of either.
    @IOLoop
    final class OtherChoice: SequenceHandler {
        let choice: Int
        let turn: Turn

        init(_ choice: Int, of turn: Turn) {
            self.choice = choice
            self.turn = turn
        }

        func received(_ run: TokenRunView) { turn.received(run, choice: choice) }

        func finished(_ finish: Finish) { turn.finished(finish, choice: choice) }

        func lost(_ loss: SequenceLoss) { turn.lost(loss, choice: choice) }
    }
}

// MARK: - The consumer's side

extension Turn {
    /// The consumer's `Cancel`: `Finished` and `Usage` follow.
    func cancel() {
        let actions = state.cancel(at: .awake())
        if actions.ending == nil { passOn() }
        perform(actions)
    }

    /// The call is gone: stops the computation and sends nothing more.
    func abandon() { perform(state.abandon()) }

    /// Ends the turn with this status.
    func fail(_ status: Status) { perform(state.fail(status)) }

    /// The consumer has read enough of what was waiting for it.
    func sendBufferDrained() {
        passOn()
        goOnWithAll(at: .awake())
    }

    /// Gives the call as many of the events as it takes now, or all.
    func passOn(all: Bool = false) {
        guard let resumption else { return passOnToCall(all: all) }
        if resumption.writing != nil { writeDown() }
        if let call = resumption.call {
            let room = all ? Int.max : call.roomBytes
            state.take(byteCount: room, keepsSent: resumption.hasRoom) { call.send(prefixed: $0) }
        }
        resumption.keeps(state.ring.byteCount + encoded.count, unsent: state.unsentBytes)
    }

    @inline(__always)
    private func passOnToCall(all: Bool = false) {
        let room = all ? Int.max : call.roomBytes
        let call = call
        if room > 0 { givenSeq = state.take(after: givenSeq, byteCount: room) { call.send(prefixed: $0) } }
        let kept = state.ring.byteCount
        guard kept != countedBytes else { return }
        countedBytes = kept
        call.keepForClient(kept)
    }

    func goOnWithAll(at now: Monotonic) {
        goOn(choice: 0, at: now)
        for index in otherSequences.indices { goOn(choice: index + 1, at: now) }
    }

    /// Lets the backend compute as far ahead as the limit says, unless the consumer lags or its minute is used up.
    private func goOn(choice: Int, at now: Monotonic) {
        guard let resumption else { return goOnForCall(choice: choice, at: now) }
        let wanted = state.wanted(
            choice: choice, isCongested: isCongested, takenBytes: reader?.takenBytes ?? 0, at: now)
        if resumption.call != nil || resumption.hasRoom { grant(wanted, choice: choice) }
    }

    @inline(__always)
    private func goOnForCall(choice: Int, at now: Monotonic) {
        grant(
            state.wanted(choice: choice, isCongested: call.isCongested, takenBytes: call.takenBytes, at: now),
            choice: choice)
    }

    @inline(__always)
    private func grant(_ wanted: UInt32, choice: Int) {
        guard wanted > 0, let sequence = choice == 0 ? sequence : otherSequences[choice - 1] else { return }
        let tokens = consumer?.take(upTo: wanted) ?? wanted
        state.granted(tokens, choice: choice)
        if tokens > 0 { sequence.grant(tokens: tokens) }
        if state.hasNoCredit(choice: choice) { waitForBudget() }
    }

    func waitForBudget() {
        guard budgetTimer == nil, let consumer else { return }
        budgetTimer = IOLoop.schedule(afterMilliseconds: max(consumer.millisecondsUntilTokens, 100)) { [weak self] in
            guard let self else { return }
            budgetTimer = nil
            goOnWithAll(at: .awake())
        }
    }
}

// MARK: - Actions

extension Turn {
    @inline(__always)
    func perform(_ actions: TurnState.Actions) {
        if !actions.isEmpty { performAll(actions) }
    }

    @inline(never)
    private func performAll(_ actions: TurnState.Actions) {
        for choice in actions.cancels {
            (choice == 0 ? sequence : otherSequences[choice - 1])?.cancel()
            set(nil, of: choice)
        }
        if actions.givenBack > 0 { consumer?.giveBack(actions.givenBack) }
        if actions.charged > 0 { consumer?.charge(actions.charged) }
        if let ending = actions.ending { end(ending) }
    }

    func end(_ ending: TurnState.Ending) {
        queueTimer?.cancel()
        queueTimer = nil
        budgetTimer?.cancel()
        budgetTimer = nil
        encoded = []
        toolCalls = [:]
        reader?.keep(0)
        if resumption?.writing != nil { writeDown(ending) }
        // The events that are left have a bound, and the stream has room for them: they go before the status or the
        // next turn. Of a turn that failed before its consumer heard anything, the status says all.
        if ending != .abandoned, !(ending.isFailure && !isHeardOf && tokensSent == 0) { passOn(all: true) }
        sequence = nil
        // Their handlers may still be told of tokens and ends.
        for index in otherSequences.indices { otherSequences[index] = nil }
        consumer?.end(choices: 1 + otherSequences.count)
        if let trace, let tracer = service.tracer {
            tracer.take(trace.spans(state.times, state.figures, ending, server: tracer.server, clock: .now()))
        }
        service.ended(self, ending)
        if let resumption {
            resumption.ended(ending, isHeardOf: isHeardOf)
        } else if ending != .abandoned {
            ended(ending)
        }
    }

    /// Whether the consumer was sent an event.
    var isHeardOf: Bool { givenSeq > 0 || state.reader?.furthestSeq ?? 0 > 0 }
}
