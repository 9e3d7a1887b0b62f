internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import LinuxSystem

/// Gives the free sequences of one model, on any of its processes, to the turns that wait, and its room for embeddings to
/// those: does what `AdmissionQueue` decides.
@IOLoop
final class ModelQueue {
    private let id: String
    private let limits: InferenceLimits
    let supervisor: Supervisor
    private(set) var queue: AdmissionQueue<Turn>
    /// Those of the running turns that go on once there is a process for them.
    private var returning = ReturningTurns<Turn>()
    private(set) var embeddings: AdmissionQueue<EmbeddingTurn>
    private var returningEmbeddings = ReturningTurns<EmbeddingTurn>()
    /// Questions that can be answered once the model is ready.
    private var questions: [@IOLoop (Result<ServedModel, Status>) -> Void] = []
    /// Nil when the model is not offered any more.
    private var model: ServedModel? { supervisor.models[id] }

    init(model id: String, limits: InferenceLimits, supervisor: Supervisor) {
        self.id = id
        self.limits = limits
        self.supervisor = supervisor
        queue = AdmissionQueue(limits)
        embeddings = AdmissionQueue(limits)
    }

    /// The number of turns and embeddings that wait.
    var count: Int { queue.waitingCount + embeddings.waiting.count }

    /// The number of turns and embeddings that run.
    var runningCount: Int { queue.running.count + embeddings.running.count }

    /// The tokens that the running turns have sent.
    var tokensSent: UInt64 { queue.running.values.reduce(0) { $0 + UInt64($1.tokensSent) } }

    /// Starts the turn, lets it wait, or fails it.
    func admit(_ turn: Turn) {
        let model = model
        do throws(AdmissionRefusal) {
            if try queue.admit(prospect(of: model)), !returning.holdOthersBack, let model, begin(turn, model) { return }
            if queue.begun !== turn {
                let displaced = try queue.wait(turn)
                turn.waits()
                announcePositions()
                if let displaced { displaced.turn.fail(status(of: displaced.refusal, model)) }
                if let pause = supervisor.hold.pause { turn.tell(ofPause: pause) }
            }
        } catch {
            return turn.fail(status(of: error, model))
        }
        load()
        guard !turn.isOver else { return }
        watchUnread()
        if queue.begun !== turn { limitWait(of: turn) }
    }

    /// Takes a turn that another agent has passed on: it waits here as it did there, or goes on before all that wait.
    func goesOn(_ turn: Turn) {
        if turn.hasBegun {
            queue.goesOn(turn, at: .awake())
            returning.interrupted(turn, failures: turn.isSuspect ? turn.failures : nil)
        } else {
            do throws(AdmissionRefusal) {
                let displaced = try queue.wait(turn)
                turn.waits()
                if let displaced { displaced.turn.fail(status(of: displaced.refusal, model)) }
            } catch {
                return turn.fail(status(of: error, model))
            }
            limitWait(of: turn)
            watchUnread()
        }
        advance()
    }

    private func limitWait(of turn: Turn) {
        turn.limitWait { [weak self] turn in
            guard let self else { return }
            turn.fail(StatusMapping.queueTimeOver(model: id, retryAfterMilliseconds: queue.retryMilliseconds))
        }
    }

    /// Begins as many choices of the turn as there are free sequences. Returns whether all have begun, or the turn is over.
    private func begin(_ turn: Turn, _ model: ServedModel) -> Bool {
        var hasBegun = false
        while let process = supervisor.process(for: model, cacheScope: { turn.cacheScope }), turn.begin(on: process) {
            hasBegun = true
            if !turn.wantsSequence { break }
        }
        if hasBegun { queue.began(turn, isOver: turn.isOver, wantsMore: turn.wantsSequence, at: .awake()) }
        return hasBegun && !turn.wantsSequence
    }

    /// The process of a running turn was lost: it goes on with the next one.
    func interrupted(_ turn: Turn) {
        queue.interrupted(turn)
        returning.interrupted(turn, failures: turn.isSuspect ? turn.failures : nil)
    }

    /// Goes on with the turns whose process was lost, as far as there are sequences for them.
    private func goOn(_ model: ServedModel) {
        while let turn = returning.next,
            let process = supervisor.process(for: model, cacheScope: { turn.cacheScope }), turn.begin(on: process)
        {
            // It may be over: what there is now cannot go on with it.
            guard !turn.isOver else { continue }
            returning.began(turn, wantsMore: turn.wantsSequence)
            if returning.onTrial === turn { watchTrial(of: turn) }
        }
    }

    private func watchTrial(of turn: Turn) {
        IOLoop.schedule(afterMilliseconds: Self.trialCheckMilliseconds) { [weak self] in
            guard let self, returning.onTrial === turn else { return }
            guard turn.isTrialOver else { return watchTrial(of: turn) }
            returning.trialEnded()
            advance()
        }
    }

    private static let trialCheckMilliseconds: UInt64 = 50

    /// Starts the embedding, lets it wait, or fails it.
    func admit(_ embedding: EmbeddingTurn) {
        let model = model
        do throws(AdmissionRefusal) {
            if try embeddings.admit(prospect(of: model)), !returningEmbeddings.holdOthersBack, let model,
                begin(embedding, model)
            {
                return
            }
            let displaced = try embeddings.wait(embedding)
            embedding.queued()
            if let displaced { displaced.turn.fail(status(of: displaced.refusal, model)) }
        } catch {
            return embedding.fail(status(of: error, model))
        }
        load()
    }

    private func begin(_ embedding: EmbeddingTurn, _ model: ServedModel) -> Bool {
        guard let process = supervisor.processForEmbedding(model), embedding.begin(on: process) else { return false }
        embeddings.began(embedding, isOver: embedding.isOver, at: .awake())
        return true
    }

    /// Removes an embedding that ended.
    func forget(_ embedding: EmbeddingTurn) {
        _ = embeddings.forget(embedding, at: .awake())
        if returningEmbeddings.forget(embedding) { advance() }
    }

    /// The process of a running embedding was lost: the next one computes it.
    func interrupted(_ embedding: EmbeddingTurn) {
        returningEmbeddings.interrupted(embedding, failures: embedding.isSuspect ? embedding.failures : nil)
    }

    private func advanceEmbeddings() {
        guard embeddings.next != nil || returningEmbeddings.areWaiting else { return }
        let model = model
        if let refusal = AdmissionQueue<EmbeddingTurn>.refusal(prospect(of: model)) {
            for embedding in dismissEmbeddings() { embedding.fail(status(of: refusal, model)) }
        }
        guard let model else { return }
        while let embedding = returningEmbeddings.next, let process = supervisor.processForEmbedding(model),
            embedding.begin(on: process)
        {
            // It may be over: what there is now cannot compute it.
            if !embedding.isOver { returningEmbeddings.began(embedding, wantsMore: false) }
        }
        while !returningEmbeddings.holdOthersBack, let embedding = embeddings.next, begin(embedding, model) {}
    }

    private func dismissEmbeddings() -> [EmbeddingTurn] { returningEmbeddings.dismissAll() + embeddings.dismissAll() }

    /// Removes a turn that ended.
    func forget(_ turn: Turn) {
        if queue.forget(turn, at: .awake()) { announcePositions() }
        if returning.forget(turn) { advance() }
    }

    /// Called when a sequence was freed, or the model's state or its backend changed.
    func advance() {
        answerQuestions()
        advanceEmbeddings()
        guard queue.next != nil || returning.areWaiting else { return load() }
        let model = model
        if let refusal = AdmissionQueue<Turn>.refusal(prospect(of: model)) {
            for turn in returning.dismissAll() + queue.dismissAll() { turn.fail(status(of: refusal, model)) }
        }
        guard let model else { return }
        goOn(model)
        let before = queue.waiting.count
        while !returning.holdOthersBack, let turn = queue.next, begin(turn, model) {}
        if queue.waiting.count != before || loadedFraction != nil { announcePositions() }
        load()
    }

    /// Tells every turn that it stands still, or goes on.
    func tellOfPause() {
        for turn in queue.all { turn.tell(ofPause: supervisor.hold.pause) }
    }

    /// Tells every turn for how long the machine has slept.
    func tellOfSleep(seconds: UInt64) {
        for turn in queue.all { turn.tellOfSleep(seconds: seconds) }
    }

    /// Calls back once the model is ready and not paused, or with the status that says that it will not be; bounded by `questionsMax`.
    func whenReady(_ body: @escaping @IOLoop (Result<ServedModel, Status>) -> Void) {
        guard questions.count < limits.questionsMax else {
            return body(.failure(StatusMapping.queueFull(model: id, waiting: questions.count)))
        }
        questions.append(body)
        answerQuestions()
        load()
    }

    private func answerQuestions() {
        guard !questions.isEmpty else { return }
        let model = model
        guard let model, model.state != .unavailable else {
            return answerQuestions(.failure(model.map(StatusMapping.unavailable) ?? status(of: .unknown, nil)))
        }
        if model.state == .ready, supervisor.hold.pause == nil { answerQuestions(.success(model)) }
    }

    private func answerQuestions(_ result: Result<ServedModel, Status>) {
        let asked = questions
        questions = []
        for question in asked { question(result) }
    }

    /// Has the model loaded, or one more process of it, if a turn waits for it.
    private func load() {
        let isWanted =
            queue.next != nil || returning.areWaiting || embeddings.next != nil || returningEmbeddings.areWaiting
            || !questions.isEmpty
        guard isWanted, model?.mayLoad == true,
            case .refused(let why) = supervisor.load(id)
        else { return }
        let status = StatusMapping.noMemory(model: id, why)
        for turn in returning.dismissAll() + queue.dismissAll() { turn.fail(status) }
        for embedding in dismissEmbeddings() { embedding.fail(status) }
        answerQuestions(.failure(status))
    }

    /// The loaded fraction of the model; nil once it is loaded.
    private var loadedFraction: Float? {
        guard let model, model.state != .ready else { return nil }
        return model.backend.loadFraction ?? 0
    }

    private func prospect(of model: ServedModel?) -> AdmissionProspect {
        switch model?.state {
        case .ready, .loading, .unloaded: .serves
        case .unavailable: .unavailable
        case nil: .unknown
        }
    }

    private func status(of refusal: AdmissionRefusal, _ model: ServedModel?) -> Status {
        switch refusal {
        case .full(let waiting, let retryAfter):
            return StatusMapping.queueFull(model: id, waiting: waiting, retryAfterMilliseconds: retryAfter)
        case .unavailable:
            if let model { return StatusMapping.unavailable(model) }
            fallthrough
        case .unknown: return StatusMapping.unknown(model: id, known: [])
        }
    }

    private func watchUnread() {
        guard queue.watch() else { return }
        IOLoop.schedule(afterMilliseconds: limits.unreadCheckMilliseconds) { [weak self] in
            guard let self else { return }
            let now = Monotonic.awake()
            let unread = queue.unread(at: now) { $0.unreadSince(at: now) }
            for turn in unread.asked { turn.askWhatWasRead() }
            for turn in unread.ended {
                turn.fail(StatusMapping.unread(model: id, milliseconds: limits.unreadMilliseconds))
            }
            watchUnread()
        }
    }

    private func announcePositions() {
        if queue.moved() { announceNow() }
    }

    private func announceNow() {
        let loaded = loadedFraction
        let isServing = loaded == nil && supervisor.hold.pause == nil
        for (position, turn) in queue.positions {
            let wait = isServing ? queue.waitMilliseconds(position: position) : nil
            turn.queued(position: position, loaded: loaded, waitMilliseconds: wait)
        }
        IOLoop.schedule(afterMilliseconds: limits.queuePositionMilliseconds) { [weak self] in
            if let self, queue.mayAnnounce() { announceNow() }
        }
    }
}
