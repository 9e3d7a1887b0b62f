/// What a person asks a line editor for with one key, or with a paste.
package enum EditorKey: Equatable, Sendable {
    case text(String)
    /// Of several lines or one, as the terminal brackets it.
    case paste(String)
    case enter, lineBreak
    case left, right, wordLeft, wordRight, home, end
    case older, newer, search
    case backspace, delete, deleteOrEnd
    case killWordLeft, killWordRight, killToHome, killToEnd, yank
    case clearScreen, interrupt, suspend, quit, giveUp
}
