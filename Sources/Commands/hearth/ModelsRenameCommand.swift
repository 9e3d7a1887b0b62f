internal import ArgumentParser
internal import OwnerTools

struct ModelsRenameCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Give a model another id.",
        discussion: """
            The command writes the id into the model's settings, NAME.json beside its file; the file keeps its name. \
            Requests in progress go on to their end; new requests use the new id.

            EXAMPLES
              hearth models rename smollm2-135m-instruct:q4_1 little
            """)

    @OptionGroup var choice: ModelChoice
    @Argument(help: "The model's id, or its name without the quantisation.")
    var model: String
    @Argument(help: "The new id.")
    var new: String

    mutating func run() async throws {
        let found = try await choice.find(model)
        guard found.entry.id != new else { return Output.print("It is named \(new) already.") }
        guard !found.ids.contains(new) else { throw Refusal("there is a model '\(new)' already; choose another id") }
        let settings: String
        do {
            settings = try ModelRenaming.rename(modelAt: found.entry.path, to: new)
        } catch {
            throw Refusal("\(error)")
        }
        Output.print("\(found.entry.id) is now \(new), as \(settings) says.")
    }
}
