internal import ArgumentParser
internal import InferenceMessages
internal import SwiftProtobuf

struct ModelsShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one model: what its file is, and what memory it takes here and why.",
        discussion: """
            EXAMPLES
              hearth models show smollm2-135m-instruct
              hearth models show smollm2-135m-instruct:q4_1 --json
            """)

    @OptionGroup var owner: OwnerOptions
    @Argument(help: ArgumentHelp("The model's id, or the part before its colon.", valueName: "id"))
    var model: String

    mutating func run() async throws {
        let model = model
        let details = try await owner.ask(
            "ShowModel", Hearth_Admin_V1_ShowModelRequest.with { $0.model = model }, Hearth_Admin_V1_ModelDetails.self)
        if owner.json { return Output.json(try details.jsonString()) }
        Output.table(Self.rows(details), hasHeader: false)
    }

    /// Only what is known has a row.
    private static func rows(_ details: Hearth_Admin_V1_ModelDetails) -> [[String]] {
        let rows: [(String, String)] = [
            ("model", details.model),
            ("state", details.detail.isEmpty ? details.state : "\(details.state): \(details.detail)"),
            ("backend", details.backend),
            ("file", details.path),
            ("size", details.fileBytes == 0 ? "" : PsCommand.size(details.fileBytes)),
            ("sha256", details.sha256),
            ("name", details.name),
            ("architecture", details.architecture),
            ("parameters", details.parameters == 0 ? "" : count(details.parameters)),
            ("quantisation", details.quantisation),
            ("licence", details.licence),
            ("chat template", template(details)),
            ("context", context(details)),
            ("requests at once", requests(details)),
            ("capabilities", details.capabilities.joined(separator: ", ")),
            ("memory", memory(details)),
            ("processes", details.replicas > 1 ? "up to \(details.replicas)" : ""),
            ("not told", details.untold == details.detail ? "" : details.untold),
        ]
        return rows.filter { !$0.1.isEmpty }.map { [$0.0, $0.1] }
    }

    private static func template(_ details: Hearth_Admin_V1_ModelDetails) -> String {
        if !details.templateFlaw.isEmpty { return "unusable: it \(details.templateFlaw)" }
        if details.hasChatTemplate_p { return "its own" }
        // Before it was loaded, its capabilities are unknown.
        let completes = details.capabilities.isEmpty || details.capabilities.contains("generate")
        return details.architecture.isEmpty ? "" : completes ? "none: it completes text" : "none"
    }

    private static func context(_ details: Hearth_Admin_V1_ModelDetails) -> String {
        guard details.contextTokens > 0 else { return "" }
        let trained = details.trainedContextTokens
        return "\(details.contextTokens) tokens" + (trained == 0 ? "" : ", trained for \(trained)")
    }

    private static func requests(_ details: Hearth_Admin_V1_ModelDetails) -> String {
        guard details.maxSequences > 0 else { return "" }
        let apart = UInt64(details.maxSequences) * UInt64(details.contextTokens)
        let isShared = details.cacheTokens > 0 && details.cacheTokens < apart
        return "\(details.maxSequences)" + (isShared ? ", with \(details.cacheTokens) tokens together" : "")
            + each(details)
    }

    /// What follows a figure of one process.
    private static func each(_ details: Hearth_Admin_V1_ModelDetails) -> String {
        details.replicas > 1 ? " for each process" : ""
    }

    /// The most that its process may take, and the parts that are known.
    private static func memory(_ details: Hearth_Admin_V1_ModelDetails) -> String {
        let all = "up to \(PsCommand.size(details.memoryMaxBytes))" + each(details)
        let known = details.fileBytes &+ details.contextBytes &+ details.copiedWeightsBytes
        guard details.contextBytes > 0, known <= details.memoryMaxBytes else { return all }
        let rest = details.memoryMaxBytes - known
        let parts = [
            (details.fileBytes, "weights"), (details.copiedWeightsBytes, "copies of weights for quicker kernels"),
            (details.contextBytes, "caches and computing"), (rest, "program, vocabulary and reserve"),
        ]
        return all + ": " + parts.filter { $0.0 > 0 }.map { "\(PsCommand.size($0.0)) \($0.1)" }.joined(separator: ", ")
    }

    /// "134.5 M", "7.2 B".
    private static func count(_ number: UInt64) -> String {
        for (unit, name) in [(UInt64(1_000_000_000), "B"), (1_000_000, "M"), (1_000, "K")] where number >= unit {
            return "\(number / unit).\(number % unit * 10 / unit) \(name)"
        }
        return "\(number)"
    }
}
