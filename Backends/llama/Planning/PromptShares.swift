/// The shares of the waiting prompts in the prompt tokens of one step: half of the room is the oldest's, so that later
/// ones cannot hold it up, and the rest goes to the shortest first, so that few tokens do not wait for many.
package struct PromptShares: Equatable, Sendable {
    /// A prompt that is not computed yet.
    package struct Prompt: Sendable {
        package var sequence: Int
        /// Order of arrival.
        package var arrival: UInt64
        /// Tokens that must still be computed; at least 1.
        package var tokens: Int

        package init(sequence: Int, arrival: UInt64, tokens: Int) {
            self.sequence = sequence
            self.arrival = arrival
            self.tokens = tokens
        }
    }

    /// The number of tokens that each sequence may compute now; sequences without a share are left out.
    package private(set) var tokens: [Int: Int] = [:]

    /// Shares `room` tokens. Their sum is `room`, or all that is wanted when that is less.
    package init(room: Int, among prompts: [Prompt]) {
        var left = max(0, room)
        func take(_ prompt: Prompt, atMost limit: Int) {
            let share = min(prompt.tokens - tokens[prompt.sequence, default: 0], limit, left)
            guard share > 0 else { return }
            tokens[prompt.sequence, default: 0] += share
            left -= share
        }
        guard let oldest = prompts.min(by: { $0.arrival < $1.arrival }) else { return }
        take(oldest, atMost: max(1, left / 2))
        let shortestFirst = prompts.sorted { ($0.tokens, $0.arrival) < ($1.tokens, $1.arrival) }
        for prompt in shortestFirst where left > 0 { take(prompt, atMost: left) }
    }
}
