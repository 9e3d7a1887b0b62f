internal import ChatTerminal
internal import Foundation

/// The source of a conversation's prompts: a line editor, or the terminal's own line editing where it cannot move its
/// cursor.
actor PromptInput {
    private let terminal: PromptTerminal?
    private var history: ChatHistoryFile
    private var assembler = PromptAssembler()
    private var isReading = false

    /// `onInterrupt` is called for Ctrl-C while no line is asked for, where it sends no signal.
    init(onInterrupt: @escaping @Sendable () -> Void) {
        let environment = ProcessInfo.processInfo.environment
        history = ChatHistoryFile(environment: environment)
        let isEdited = Output.isTerminal && TerminalStyle.canSteer(environment: environment)
        terminal =
            isEdited
            ? PromptTerminal(
                style: TerminalStyle(isTerminal: true, environment: environment), onInterrupt: onInterrupt) : nil
        if terminal != nil, let problem = history.read() { ChatNotes.write(problem) }
    }

    /// The next prompt, of one line or several; nil: the input has ended.
    func next() async -> (text: String, isQuoted: Bool)? {
        while true {
            switch await line() {
            case .ended: return nil
            case .interrupted(let wasEmpty):
                if wasEmpty, !assembler.isOpen { ChatNotes.write("Ctrl-D ends the conversation") }
                assembler.giveUp()
            case .line(let line):
                guard case .prompt(let text, let isQuoted, let typed) = assembler.take(line) else { continue }
                if terminal != nil, !typed.allSatisfy(\.isWhitespace), let problem = history.add(typed) {
                    ChatNotes.write(problem)
                }
                return (text, isQuoted)
            }
        }
    }

    /// Writes an empty line between an answer and the next prompt.
    func separate() { if terminal != nil { Output.write("\n") } }

    /// Takes SIGINT, and returns whether nothing else needs to be done about it. The line editor takes it as Ctrl-C. If
    /// the terminal itself edits the line, it was Ctrl-C, and a note says how to end.
    func takeInterrupt() -> Bool {
        if let terminal {
            terminal.interrupt()
            return true
        }
        guard isReading else { return false }
        Output.write("\n(Ctrl-D ends the conversation)\n" + shownPrompt)
        return true
    }

    private var shownPrompt: String { assembler.isOpen ? "... " : "> " }

    private func line() async -> PromptTerminal.Answer {
        isReading = true
        defer { isReading = false }
        if let terminal { return await terminal.line(prompt: shownPrompt, history: history.history.entries) }
        Output.write(shownPrompt)
        // On a thread of its own because reading blocks.
        let line = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Swift.readLine()) }
        }
        if line == nil { Output.print("") }
        return line.map { .line($0) } ?? .ended
    }
}
