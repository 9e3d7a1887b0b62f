internal import WireFormat

/// What a backend has yet to end that another agent had begun.
struct Inheritance: Sendable {
    var sequences: Set<UInt32> = []
    var embeds: Set<UInt32> = []
    /// Whether a `Pong` to this agent has counted no sequences.
    var isIdle = false
    /// How many more answers to queries of the other agent may come. They end nothing, so nobody has counted them.
    private var answersLeft = 0

    init() {}

    init(sequences: Set<UInt32>, embeds: Set<UInt32>) {
        self.sequences = sequences
        self.embeds = embeds
        answersLeft = ContractLimits.unansweredMax
    }

    /// Whether an answer is one to a query of the other agent.
    mutating func takesAnswer(_ isToUnknownQuery: Bool) -> Bool {
        guard isToUnknownQuery, answersLeft > 0 else { return false }
        answersLeft -= 1
        return true
    }
}

// Going on with the conversation of another agent.
extension BackendConversation {
    /// Goes on with a conversation, once its Hello, Welcome, Load and Loaded were said again. Whatever runs is cancelled:
    /// until it has ended, tokens and answers are dropped that nobody here has asked for. Returns the messages to send at
    /// once; a `Ping` follows them, and further ones as long as the phase is `settling`.
    ///
    /// Every number is cancelled, because a `Cancel` for one that does not run has no effect.
    /// - Parameters:
    ///   - sequences: those that have yet to finish, as far as the other agent knew.
    ///   - embeds: the `Embed` that have yet to be answered.
    package mutating func takeOver(sequences: Set<UInt32>, embeds: Set<UInt32>) -> [AgentMessage] {
        guard phase == .ready else { return [] }
        phase = .settling
        let count = UInt32(self.sequences.count)
        inherited = Inheritance(sequences: sequences.filter { $0 < count }, embeds: embeds)
        return (0..<count).map { .cancel(Cancel(sequence: $0)) }
            + embeds.sorted().map { .cancelEmbed(CancelEmbed(query: $0)) }
    }

    /// Takes a batch for the agent before this one: only the ends in it matter.
    package mutating func settle(_ batch: TokenBatchView) throws(ContractViolation) {
        var batch = batch
        do throws(WireError) {
            while let run = try batch.next() {
                if run.finishStart != nil { inherited.sequences.remove(run.sequence) }
            }
        } catch {
            throw ContractViolation(error, in: "a TokenRun")
        }
        settleIfDone()
    }

    mutating func settleIfDone() {
        if phase == .settling, inherited.isIdle, inherited.sequences.isEmpty { phase = .ready }
    }
}
