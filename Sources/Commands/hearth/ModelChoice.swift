internal import ArgumentParser
internal import Foundation
internal import HostAgent
internal import InferenceMessages
internal import OwnerTools

/// Where a command finds the models that it changes.
struct ModelChoice: ParsableArguments {
    @Option(help: ArgumentHelp("The state folder of the agent that serves it, if one runs.", valueName: "dir"))
    var state: String?
    @Option(
        name: .customLong("models"),
        help: ArgumentHelp(
            "A folder of models, for a model that no running agent serves; may be repeated.", valueName: "dir"))
    var folders: [String] = []

    /// What was found: the model that was asked for, and the ids that are taken.
    struct Found {
        let entry: ModelLibrary.Entry
        let ids: Set<String>
    }

    /// Finds a model by its id: at the running agent, and in the folders. Throws where it is ambiguous or unknown, or is
    /// no file of a folder of models, with the reason.
    func find(_ asked: String) async throws -> Found {
        let environment = ProcessInfo.processInfo.environment
        let served = await backends()
        let files = served.filter { !$0.modelFile.isEmpty }
            .map { ModelLibrary.Entry(id: $0.model, path: $0.modelFile) }
        // What no agent serves, such as a model that lacks a part.
        let paths = Set(files.map(\.path))
        let unserved = ModelLibrary(folders: try ModelsPlace.folders(folders, state: state, environment: environment))
            .entries.filter { !paths.contains($0.path) }
        let others = served.filter(\.modelFile.isEmpty)
        let ids = Set((files + unserved).map(\.id) + others.map(\.model))
        for entries in [files, unserved] {
            let matches = ModelLibrary.matches(asked, among: entries)
            if let only = matches.first, matches.count == 1 { return Found(entry: only, ids: ids) }
            if matches.count > 1 {
                throw Refusal(
                    "'\(asked)' may be any of these; say which: "
                        + matches.map { "\($0.id) (\($0.path))" }.joined(separator: ", "))
            }
            if entries == files, let other = others.first(where: { $0.model == asked }) {
                throw Refusal(
                    other.isLent
                        ? "'\(asked)' is lent by 'hearth run', and lies in no folder of models"
                        : "'\(asked)' lies in no folder of models: \(other.name).json, the manifest of the backend "
                            + "\(other.name), names it; change it there")
            }
        }
        let known = ids.isEmpty ? "there are none" : "there are \(ids.sorted().prefix(20).joined(separator: ", "))"
        throw Refusal("there is no model '\(asked)'; \(known)")
    }

    private func backends() async -> [Hearth_Admin_V1_Backend] {
        guard let agent = try? await OwnerConnection.open(state: state) else { return [] }
        let list: Hearth_Admin_V1_ListBackendsResponse? = try? await agent.ask(
            "ListBackends", Hearth_Admin_V1_ListBackendsRequest())
        await agent.close()
        return list?.backends ?? []
    }
}
