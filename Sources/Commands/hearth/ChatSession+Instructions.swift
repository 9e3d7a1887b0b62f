internal import ChatTerminal
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import StrictJSON
internal import SwiftProtobuf

/// Instructions of a person to the conversation itself.
extension ChatSession {
    func perform(_ instruction: ChatInstruction) async {
        switch instruction {
        case .prompt, .bye: break
        case .help: Output.table(ChatInstruction.overview, hasHeader: false)
        case .mistake(let why): ChatNotes.write(why)
        case .show: show()
        case .showSystem: Output.print(conversation.system ?? "(no instructions)")
        case .setSystem(let text):
            conversation.system = text
            ChatNotes.write(text == nil ? "no instructions from now on" : "these are the instructions from now on")
        case .set(let parameter, let value): set(parameter, to: value)
        case .showModel: Output.print(modelName)
        case .model(let name): await choose(name)
        case .models: await listModels()
        case .clear:
            conversation.clear()
            ChatNotes.write("the conversation is forgotten")
        case .save(let file): save(to: Self.path(file))
        case .load(let file): load(Self.path(file))
        case .stats(let shows):
            showsStats = shows
            ChatNotes.write(shows ? "figures follow each answer" : "no figures any more")
        }
    }

    private var modelName: String { template.model.isEmpty ? "(the only one of the host)" : template.model }

    private func show() {
        let turns = conversation.turnCount
        let heard = conversation.forgotten > 0 ? ", \(conversation.forgotten) of them no longer seen by the model" : ""
        var rows = [
            ["model", modelName], ["system", conversation.system ?? "(no instructions)"],
            ["turns", "\(turns)\(heard)"], ["stats", showsStats ? "on" : "off"],
        ]
        rows += ChatParameter.allCases.map { [$0.rawValue, $0.value(in: template) ?? "(the model's own)"] }
        Output.table(rows, hasHeader: false)
    }

    private func set(_ parameter: ChatParameter, to value: String?) {
        do throws(ChatParameter.Mistake) {
            try parameter.set(value, in: &template)
            ChatNotes.write("\(parameter.rawValue) is \(parameter.value(in: template) ?? "the model's own")")
        } catch {
            ChatNotes.write("\(error)")
        }
    }

    private func choose(_ name: String) async {
        do {
            // A host also accepts the part of an id before the colon.
            let known = try await models().map(\.id)
            guard known.contains(where: { $0 == name || $0.hasPrefix(name + ":") }) else {
                return ChatNotes.write(
                    "this host lends no '\(name)'\(NearestName.hint(for: name, among: known)); /models lists what it lends"
                )
            }
            template.model = name
            ChatNotes.write("\(name) answers from now on")
        } catch {
            Self.tell(error)
        }
    }

    private func listModels() async {
        do {
            let rows = try await models().map { model in
                let context = model.maxContextTokens == 0 ? "-" : "\(model.maxContextTokens)"
                return [model.id, ModelsCommand.word(model.state), context]
            }
            if rows.isEmpty { return Output.print("This host lends no model now.") }
            Output.table([["MODEL", "STATE", "CONTEXT"]] + rows)
        } catch {
            Self.tell(error)
        }
    }

    private func models() async throws -> [Hearth_V1_Model] {
        try await connect()
        guard let host else { return [] }
        return try await ModelsCommand.models(of: host)
    }

    private func save(to file: String) {
        guard !conversation.isEmpty else { return ChatNotes.write("nothing has been said yet") }
        do throws(LinuxError) {
            try FileBytes.replace(file, with: Array(conversation.file.utf8), overwriting: false)
            ChatNotes.write("saved in \(file)")
        } catch {
            ChatNotes.write("cannot \(error)")
        }
    }

    private func load(_ file: String) {
        do {
            let bytes = try FileBytes.read(file, max: Conversation.fileBytesMax)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                return ChatNotes.write("cannot load \(file): it is no text in UTF-8")
            }
            conversation = try Conversation(file: text)
            let turns = conversation.turnCount
            ChatNotes.write("the conversation is that of \(file) now: \(turns) turn\(turns == 1 ? "" : "s")")
        } catch let error as LinuxError {
            ChatNotes.write("cannot \(error)")
        } catch {
            ChatNotes.write("cannot load \(file): \(error)")
        }
    }

    /// The path of a file; `~/` is the person's home, as in a shell.
    private static func path(_ file: String) -> String {
        guard file.hasPrefix("~/"), let home = ProcessInfo.processInfo.environment["HOME"] else { return file }
        return home + file.dropFirst()
    }
}
