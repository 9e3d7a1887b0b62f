/// A text that is being edited, with the cursor's position: keys go in, outcomes come out. It neither reads nor draws.
package struct LineEditor: Sendable {
    package enum Outcome: Equatable, Sendable {
        case editing
        case submitted(String)
        /// Ctrl-C; `wasEmpty`: there was no text to give up.
        case interrupted(wasEmpty: Bool)
        /// Ctrl-D while the text is empty.
        case ended
        case suspended, quit, screenCleared
    }

    /// A search backwards in the history.
    private struct Search {
        var words = ""
        /// The entry that is shown.
        var place: Int
        let before: (left: String, right: String)
    }

    /// An insertion that would make the text longer is ignored.
    static let textBytesMax = 1 << 20

    /// The text before the cursor, and after it.
    package private(set) var left = ""
    package private(set) var right = ""
    private var killed = ""
    private let history: [String]
    /// The index of the history's entry that is shown; the history's count: the new text.
    private var place: Int
    /// The edited texts of entries, kept while another entry is shown.
    private var drafts: [Int: String] = [:]
    private var searching: Search?

    package init(history: [String] = []) {
        self.history = history
        place = history.count
    }

    package var text: String { left + right }

    /// The text in place of the prompt during a search; nil when there is none.
    package var searchPrompt: String? {
        searching.map { $0.words.isEmpty ? "(search) " : "(search '\($0.words)') " }
    }

    package mutating func take(_ key: EditorKey) -> Outcome {
        if searching != nil, takeSearching(key) { return .editing }
        switch key {
        case .text(let typed): insert(typed)
        case .paste(let pasted): insert(pasted)
        case .lineBreak: insert("\n")
        case .enter: return .submitted(text)
        case .interrupt: return .interrupted(wasEmpty: text.isEmpty)
        case .deleteOrEnd:
            if text.isEmpty { return .ended }
            deleteRight(1)
        case .suspend: return .suspended
        case .quit: return .quit
        case .clearScreen: return .screenCleared
        case .left: move(by: -1)
        case .right: move(by: 1)
        case .wordLeft: move(by: -wordLeft)
        case .wordRight: move(by: wordRight)
        case .home: move(by: -lineLeft)
        case .end: move(by: lineRight)
        case .backspace: left = String(left.dropLast())
        case .delete: deleteRight(1)
        case .killWordLeft: killLeft(spacedWordLeft)
        case .killWordRight: killRight(wordRight)
        case .killToHome: killLeft(lineLeft)
        case .killToEnd: killRight(lineRight)
        case .yank: insert(killed)
        case .older: show(place - 1)
        case .newer: show(place + 1)
        case .search: searching = Search(place: history.count, before: (left, right))
        case .giveUp: break
        }
        return .editing
    }

    /// Line ends become one kind; other controls, which a text for a model does not need, are left out.
    private mutating func insert(_ text: String) {
        var clean = String.UnicodeScalarView()
        var lastWasReturn = false
        for scalar in text.unicodeScalars {
            if scalar == "\r" || (scalar == "\n" && !lastWasReturn) {
                clean.append("\n")
            } else if scalar == "\t" || scalar.properties.generalCategory != .control {
                clean.append(scalar)
            }
            lastWasReturn = scalar == "\r"
        }
        guard left.utf8.count + right.utf8.count + clean.utf8Count <= Self.textBytesMax else { return }
        left.unicodeScalars.append(contentsOf: clean)
    }

    private mutating func move(by count: Int) {
        if count < 0 {
            right = String(left.suffix(-count)) + right
            left = String(left.dropLast(-count))
        } else {
            left += right.prefix(count)
            right = String(right.dropFirst(count))
        }
    }

    private mutating func deleteRight(_ count: Int) { right = String(right.dropFirst(count)) }

    private mutating func killLeft(_ count: Int) {
        guard count > 0 else { return }
        killed = String(left.suffix(count))
        left = String(left.dropLast(count))
    }

    private mutating func killRight(_ count: Int) {
        guard count > 0 else { return }
        killed = String(right.prefix(count))
        right = String(right.dropFirst(count))
    }

    /// The number of characters between the cursor and the begin or end of a word.
    private var wordLeft: Int {
        let gap = left.reversed().prefix { !$0.isOfWord }.count
        return gap + left.dropLast(gap).reversed().prefix { $0.isOfWord }.count
    }
    private var wordRight: Int {
        let gap = right.prefix { !$0.isOfWord }.count
        return gap + right.dropFirst(gap).prefix { $0.isOfWord }.count
    }
    /// The same for Ctrl-W, whose words are separated by spaces only.
    private var spacedWordLeft: Int {
        let gap = left.reversed().prefix { $0.isWhitespace }.count
        return gap + left.dropLast(gap).reversed().prefix { !$0.isWhitespace }.count
    }
    /// The number of characters to the begin and end of the line; a text can have several lines.
    private var lineLeft: Int { left.reversed().prefix { $0 != "\n" }.count }
    private var lineRight: Int { right.prefix { $0 != "\n" }.count }

    private mutating func show(_ other: Int) {
        guard (0...history.count).contains(other) else { return }
        drafts[place] = text
        place = other
        left = drafts[other] ?? (other < history.count ? history[other] : "")
        right = ""
    }

    /// Returns false if the search is over and the key is meant for the text that it found.
    private mutating func takeSearching(_ key: EditorKey) -> Bool {
        guard var search = searching else { return false }
        switch key {
        case .text(let typed):
            search.words += typed
            find(&search, from: min(search.place, history.count - 1))
        case .backspace:
            search.words = String(search.words.dropLast())
            find(&search, from: history.count - 1)
        case .search: find(&search, from: search.place - 1)
        case .interrupt, .giveUp:
            (left, right) = search.before
            searching = nil
            return true
        default:
            if search.place < history.count {
                let found = text
                drafts[place] = search.before.left + search.before.right
                place = search.place
                (left, right) = (found, "")
            }
            searching = nil
            return false
        }
        searching = search
        return true
    }

    private mutating func find(_ search: inout Search, from newest: Int) {
        guard newest >= 0, !search.words.isEmpty else { return }
        guard let found = (0...newest).last(where: { history[$0].contains(search.words) }) else { return }
        search.place = found
        (left, right) = (history[found], "")
    }
}

extension Character {
    fileprivate var isOfWord: Bool { isLetter || isNumber }
}

extension String.UnicodeScalarView {
    fileprivate var utf8Count: Int { String(self).utf8.count }
}
