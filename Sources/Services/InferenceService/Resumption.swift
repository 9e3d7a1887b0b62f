internal import ConsumerAccess
internal import EventLoop
internal import GRPC

/// What a turn has that can be resumed: the call that reads it, and, while there is none, the time that it waits for the
/// next one. A turn that is over waits too, so that a consumer whose connection was lost with the end of it gets the end.
///
/// Owned by its turn; `InferenceService` has the turn by its token.
@IOLoop
final class Resumption {
    /// A call that reads the turn. `ended` is called at the turn's end, or when another call reads on in its place.
    struct Reader {
        let call: ServerCall
        let ended: @IOLoop (TurnState.Ending) -> Void
    }

    let milliseconds: UInt64
    /// To whom the turn belongs, and what is kept for it is counted.
    let caller: CallerID
    /// Nil: the consumer is absent.
    private(set) var reader: Reader?
    private let service: InferenceService
    private let consumer: Consumer?
    private weak var turn: Turn?
    let key: InferenceService.Resumables.Key
    /// How the turn has ended.
    private(set) var ending: TurnState.Ending?
    private var window: Timer?
    /// Where the turn is written down; nil: it is not kept over the death of this process.
    private(set) var writing: TurnWriting?
    /// Whether the call that began the turn has ended before it.
    private var outlivesCall = false
    private var notedBytes = 0
    private var countedBytes = 0

    /// Changes of what is kept are noted in steps of so many bytes.
    private static let notedBytesMin = 4 << 10

    /// The turn is that of the call's caller, and is read by the call.
    init(_ reader: Reader, _ key: InferenceService.Resumables.Key, milliseconds: UInt64, service: InferenceService) {
        self.reader = reader
        self.milliseconds = milliseconds
        self.service = service
        caller = reader.call.callerID
        consumer = reader.call.caller as? Consumer
        self.key = key
    }

    var call: ServerCall? { reader?.call }

    /// Whether what the consumer was sent may be kept, and more may be computed for an absent one.
    var hasRoom: Bool { !service.resumables.isFull(for: caller) }

    /// The turn takes its place among those that can be resumed.
    func begin(_ turn: Turn, byteCount: Int) {
        self.turn = turn
        notedBytes = byteCount
        writing = service.writing(of: turn)
        consumer?.begin(resumable: self) { [weak turn] in turn?.abandon() }
        service.resumables.insert(turn, key, of: caller, byteCount: byteCount)
    }

    /// So many bytes are kept for the turn, of which so many are still to be sent.
    func keeps(_ byteCount: Int, unsent: Int) {
        if unsent != countedBytes {
            countedBytes = unsent
            call?.keepForClient(unsent)
        }
        guard byteCount == 0 || abs(byteCount - notedBytes) >= Self.notedBytesMin else { return }
        notedBytes = byteCount
        service.resumables.keeps(byteCount, key)
    }

    /// The call that read the turn is gone. Returns false where nobody will come back.
    func isLeft() -> Bool {
        guard let turn, !service.endsResumption else { return false }
        reader = nil
        countedBytes = 0
        outlive()
        startWindow(turn)
        return true
    }

    /// This call reads on.
    func read(by reader: Reader) {
        outlive()
        let before = self.reader
        self.reader = reader
        countedBytes = 0
        service.resumables.settle(key, false)
        if ending == nil {
            window?.cancel()
            window = nil
        }
        before?.ended(.failed(StatusMapping.takenOver))
    }

    /// The turn goes on without the call that began it, and counts in its place.
    private func outlive() {
        guard !outlivesCall, ending == nil else { return }
        outlivesCall = true
        consumer?.goesOnWithoutCall()
    }

    /// The turn is over. `isHeardOf`: its consumer knows the token.
    func ended(_ ending: TurnState.Ending, isHeardOf: Bool) {
        consumer?.end(resumable: self, withoutCall: outlivesCall)
        if ending == .abandoned || !isHeardOf || service.endsResumption {
            forget()
        } else {
            self.ending = ending
            if window == nil, let turn { startWindow(turn) }
        }
        tellEnd(ending)
    }

    /// A call reads a turn that is over, and was given all of it.
    func finishReading() {
        if let ending { tellEnd(ending) }
    }

    private func tellEnd(_ ending: TurnState.Ending) {
        guard let reader else { return }
        self.reader = nil
        service.resumables.settle(key, true)
        if ending != .abandoned { reader.ended(ending) }
    }

    /// Nobody can resume the turn any more.
    func forget() {
        window?.cancel()
        window = nil
        writing?.forget()
        writing = nil
        service.resumables.remove(key)
    }

    /// The turn would not outlive this process any more. Returns false where it would not have.
    func giveUpWriting() -> Bool {
        defer { writing = nil }
        writing?.forget()
        return writing != nil
    }

    /// Another agent has the turn from now on.
    func leave() {
        consumer?.end(resumable: self, withoutCall: outlivesCall)
        reader = nil
        forget()
    }

    /// The turn, which another agent has passed on, has ended there like this. `isSettled`: its consumer was sent all of it.
    func goesOn(endedBy ending: TurnState.Ending, isSettled: Bool) {
        guard let turn else { return }
        self.ending = ending
        consumer?.end(resumable: self, withoutCall: outlivesCall)
        service.resumables.settle(key, isSettled)
        startWindow(turn)
    }

    private func startWindow(_ turn: Turn) {
        window?.cancel()
        window = IOLoop.schedule(afterMilliseconds: milliseconds) { [weak turn] in turn?.isGivenUp() }
    }
}
