/// One request to a line editor, made with a key or a paste.
package enum EditorKey: Equatable, Sendable {
    case text(String)
    /// A paste of one line or several, as the terminal brackets it.
    case paste(String)
    case enter, lineBreak
    case left, right, wordLeft, wordRight, home, end
    case older, newer, search
    case backspace, delete, deleteOrEnd
    case killWordLeft, killWordRight, killToHome, killToEnd, yank
    case clearScreen, interrupt, suspend, quit, giveUp
}
