internal import ArgumentParser
internal import Glibc
internal import LinuxSystem
internal import OwnerTools
internal import TerminalText

struct ModelsRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Delete a model's files from the folder of models.",
        discussion: """
            The command deletes all parts of the model, its settings and its licence. It deletes a symbolic link, and \
            not the link's target. A running agent no longer offers the model; requests in progress go on to their \
            end.

            EXAMPLES
              hearth models remove smollm2-135m-instruct:q4_1
              hearth models remove fox --yes
            """)

    @OptionGroup var choice: ModelChoice
    @Flag(help: "Do not ask for confirmation.")
    var yes = false
    @Argument(help: "The model's id, or its name without the quantisation.")
    var model: String

    mutating func run() async throws {
        let found = try await choice.find(model)
        let removal = ModelRemoval(ofModelAt: found.entry.path)
        Output.print("These are the files of \(found.entry.id):")
        for file in removal.files { Output.print("  " + printable(Self.line(file))) }
        if !yes {
            guard isatty(STDIN_FILENO) == 1 else {
                throw Refusal("nothing was deleted, because nobody can be asked here; say --yes to delete them")
            }
            Output.print("Delete them? [y/N] ", terminator: "")
            guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
                return Output.print("Nothing was deleted.")
            }
        }
        do throws(LinuxError) {
            try removal.carryOut()
        } catch {
            throw Refusal("\(error)")
        }
        Output.print("\(found.entry.id) was removed.")
    }

    private static func line(_ file: ModelRemoval.File) -> String {
        if let target = file.target { return "\(file.path) (a link; \(target) stays)" }
        return file.byteCount < 1 << 20 ? file.path : "\(file.path) (\(PsCommand.size(file.byteCount)))"
    }
}
