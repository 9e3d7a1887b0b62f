internal import StrictJSON

/// One line of a person: an instruction to the conversation itself, or a text for the model.
package enum ChatInstruction: Equatable, Sendable {
    case prompt(String)
    case help, show, models, clear, bye
    case showSystem
    /// Sets the system's instructions; nil: none.
    case setSystem(String?)
    /// Sets a parameter; nil: the model's default.
    case set(ChatParameter, String?)
    case model(String)
    case showModel
    case save(String)
    case load(String)
    case stats(Bool)
    /// The line is no valid instruction; a sentence with the remedy.
    case mistake(String)

    package static let overview: [[String]] = [
        ["/help", "list these instructions"],
        ["/system [TEXT|clear]", "show, set or remove the system prompt"],
        ["/set NAME VALUE|default", "set a parameter; /show lists them"],
        ["/show", "show the model and all settings"],
        ["/model [NAME]", "show or choose the model that answers"],
        ["/models", "list the models that the host lends"],
        ["/clear", "forget the conversation, and keep the system prompt"],
        ["/save FILE", "write the conversation to a new file"],
        ["/load FILE", "continue a saved conversation"],
        ["/stats on|off", "print tokens, rate and time after each answer, or stop that"],
        ["/bye", "end the conversation; Ctrl-D does too"],
        ["//TEXT", "send /TEXT to the model"],
        ["\"\"\"", "begin and end a text of several lines"],
        ["Alt-Enter", "begin a new line"],
        ["Ctrl-C", "end an answer, or discard the line"],
        ["Ctrl-R", "search earlier prompts"],
    ]

    private static let names = [
        "help", "system", "set", "show", "model", "models", "clear", "save", "load", "stats", "bye", "quit", "exit",
    ]

    package init(_ line: String) {
        guard line.hasPrefix("/") else {
            self = .prompt(line)
            return
        }
        if line.hasPrefix("//") {
            self = .prompt(String(line.dropFirst()))
            return
        }
        let name = line.dropFirst().prefix { !$0.isWhitespace }
        let rest = Self.trimmed(line.dropFirst(1 + name.count))
        self = Self.instruction(String(name), rest, line)
    }

    private static func instruction(_ name: String, _ rest: String, _ line: String) -> ChatInstruction {
        switch (name, rest) {
        case ("help", ""), ("?", ""): .help
        case ("system", ""): .showSystem
        case ("system", "clear"): .setSystem(nil)
        case ("system", _): .setSystem(rest)
        case ("set", _): parameter(rest)
        case ("show", ""): .show
        case ("model", ""): .showModel
        case ("model", _): .model(rest)
        case ("models", ""): .models
        case ("clear", ""): .clear
        case ("save", ""): .mistake("write /save and the name of a new file")
        case ("save", _): .save(rest)
        case ("load", ""): .mistake("write /load and the name of a file that /save wrote")
        case ("load", _): .load(rest)
        case ("stats", "on"): .stats(true)
        case ("stats", "off"): .stats(false)
        case ("stats", _): .mistake("write /stats on or /stats off")
        case ("bye", ""), ("quit", ""), ("exit", ""): .bye
        case (_, _) where names.contains(name):
            .mistake("/\(name) takes nothing after it; to send this to the model, begin it with '//'")
        default: unknown(name)
        }
    }

    private static func unknown(_ name: String) -> ChatInstruction {
        let hint = NearestName.nearest(to: name, among: names, distanceMax: 2).map { " (did you mean /\($0)?)" } ?? ""
        // A path can be long.
        let told = name.count > 24 ? name.prefix(24) + "…" : name[...]
        return .mistake(
            "there is no /\(told)\(hint); /help says what there is, and a text that begins with '/' is sent as '//'")
    }

    private static func parameter(_ rest: String) -> ChatInstruction {
        let name = rest.prefix { !$0.isWhitespace }
        let value = trimmed(rest.dropFirst(name.count))
        guard !name.isEmpty, !value.isEmpty else {
            return .mistake(
                "write /set NAME VALUE, where NAME is one of \(ChatParameter.names.joined(separator: ", "))")
        }
        do throws(ChatParameter.Mistake) {
            return .set(try ChatParameter(named: String(name)), value == "default" ? nil : value)
        } catch {
            return .mistake(error.description)
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
