internal import BaseEncodings
internal import LaunchPlan
internal import StrictJSON

/// The requests of a backend's author, from `NAME.json` beside the executable. `LaunchPlanner` limits them to what the
/// owner allows. Every key is optional; unknown ones are refused.
package struct BackendManifest: Equatable, Sendable {
    /// The seccomp policy's name.
    package var policy = "strict"
    /// At least one, unless the backend serves files of the folders of models.
    package var models: [Model]
    /// The memory that the backend needs beside its weights, where its model's entry names none.
    package var memoryMebibytes: UInt64?
    /// The threads that it wants to compute with, where its model's entry names none.
    package var threads: UInt32?
    /// The longest time for loading a model.
    package var loadSeconds: UInt64 = 600
    /// Absolute paths that it wants to read.
    package var readOnlyPaths: [String] = []
    /// The size of a writable `/tmp` that runs nothing; nil: there is none. Only in tier full.
    package var temporaryMebibytes: UInt64?
    /// Devices below /dev that it wants to use, such as a GPU's.
    package var devices: [String] = []
    /// The absolute path of the program that runs the executable, which is a script; nil: it is a program itself.
    package var interpreter: String?
    /// The arguments after its name.
    package var arguments: [String] = []
    /// The formats of the models that it serves out of the folders of models, as endings of file names: "gguf".
    package var serves: [String] = []

    /// One model; no process runs two of them.
    package struct Model: Equatable, Sendable {
        /// The id that consumers name it by.
        package var id: String
        /// The weights: relative to the manifest's folder, or absolute where the owner allows it.
        package var file: String?
        /// The SHA-256 that the weights must have to be served, 32 bytes; nil: any weights are served.
        package var digest: [UInt8]?
        package var contextTokens: UInt32?
        package var maxSequences: UInt32?
        /// The most processes that run for it at once; nil: one.
        package var replicas: Int?
        /// The limits of its process; nil: those of the manifest.
        package var memoryMebibytes: UInt64?
        package var threads: UInt32?
        /// Passed on to the backend unread.
        package var options: [String: String] = [:]
        /// How tokens are chosen where a request leaves it open.
        package var sampling = SamplingDefaults()
        /// The chat template in place of the model's own, Jinja; nil: the model's own.
        package var chatTemplate: String?
        /// The name of the file beside the settings that has the template; whoever reads the settings reads it.
        package var chatTemplateFile: String?
        /// The adapters that requests may choose, in the order of their names.
        package var adapters: [ModelAdapter] = []
        /// Whether its backend drafts tokens by looking them up in the sequence.
        package var draftLookup = false
        /// The name of the file beside the model that has a second, smaller model, which drafts tokens; nil: there is none.
        package var draftFile: String?
        /// The shorter lengths that its vectors can be cut to, because it was trained for it; in ascending order.
        package var embeddingDimensions: [UInt32] = []
        /// When it is loaded, and for how long; nil: the default of the place where it was found.
        package var residence: Residence?

        package init(id: String) { self.id = id }
    }

    /// When a model is in memory.
    package enum Residence: Equatable, Sendable {
        /// From the agent's start to its end.
        case always
        /// From a request until so long after the last one; nil: as long as the agent keeps models; 0: only while it
        /// works.
        case onDemand(keepAliveSeconds: UInt32?)
    }

    /// The manifest of an executable that has none: policy "strict", one model of its name, no weights.
    package init(executableName: String) { models = [Model(id: executableName)] }

    /// Reads a manifest file. Throws with file and line.
    package static func load(_ path: String, executableName: String) throws(SandboxPolicyError) -> BackendManifest {
        try BackendManifest(JSONNode.read(file: path), executableName: executableName, file: path)
    }

    /// Reads a manifest from memory; `file` names it in errors.
    package static func parse(
        _ json: [UInt8], executableName: String, file: String
    ) throws(SandboxPolicyError) -> BackendManifest {
        try BackendManifest(JSONNode.parse(json, file: file), executableName: executableName, file: file)
    }
}

extension BackendManifest {
    private static let keys = [
        "policy", "models", "memoryMebibytes", "threads", "loadSeconds", "readOnlyPaths", "temporaryMebibytes",
        "devices", "interpreter", "arguments", "serves",
    ]
    private static let modelKeys = ["id", "file"] + settingKeys
    /// The keys of a model's settings, which are the same in a manifest and a sidecar.
    static let settingKeys = [
        "contextTokens", "maxSequences", "replicas", "memoryMebibytes", "threads", "options", "load",
        "keepAliveSeconds", "sampling", "chatTemplate", "adapters", "draft", "embedding", "sha256",
    ]

    private init(_ node: JSONNode, executableName: String, file: String) throws(SandboxPolicyError) {
        self.init(executableName: executableName)
        let top = try JSONObjectReader(node, "the manifest", keys: BackendManifest.keys, file: file)
        policy = try top.string("policy") ?? policy
        memoryMebibytes = try top.integer("memoryMebibytes", max: 1 << 24)
        threads = try top.integer("threads", max: 1024).map { UInt32($0) }
        loadSeconds = try top.integer("loadSeconds", max: 86_400) ?? loadSeconds
        readOnlyPaths =
            try top.strings("readOnlyPaths", max: SandboxPolicyLimits.readOnlyPathsMax)?.map(\.text) ?? []
        temporaryMebibytes = try top.integer("temporaryMebibytes", max: 1 << 24)
        devices = try top.strings("devices", max: SandboxPolicyLimits.readOnlyPathsMax)?.map(\.text) ?? []
        interpreter = try top.string("interpreter")
        arguments = try top.strings("arguments", max: SandboxPolicyLimits.optionsMax)?.map(\.text) ?? []
        serves = try top.strings("serves", max: SandboxPolicyLimits.formatsMax)?.map(\.text) ?? []
        if let entries = try top.array("models", max: SandboxPolicyLimits.modelsMax) {
            // A backend that serves files of the folders of models needs no model of its own.
            guard !entries.isEmpty || !serves.isEmpty else {
                throw top.failure("models", "must list at least one model, or be left out")
            }
            models = []
            for entry in entries {
                let model = try BackendManifest.model(entry, file: file)
                guard !models.contains(where: { $0.id == model.id }) else {
                    throw SandboxPolicyError(file: file, line: entry.line, "model '\(model.id)' stands twice")
                }
                models.append(model)
            }
        } else if !serves.isEmpty {
            models = []
        }
        try validate(top)
    }

    private func validate(_ top: JSONObjectReader) throws(SandboxPolicyError) {
        if memoryMebibytes == 0 { throw top.failure("memoryMebibytes", "must be at least 1") }
        if temporaryMebibytes == 0 { throw top.failure("temporaryMebibytes", "must be at least 1, or be left out") }
        if threads == 0 { throw top.failure("threads", "must be at least 1") }
        if loadSeconds == 0 { throw top.failure("loadSeconds", "must be at least 1") }
        if let interpreter, ReadOnlyBind.components(of: interpreter) == nil {
            throw top.failure(
                "interpreter",
                "is '\(interpreter)'; write an absolute path without '.', '..' and '//', such as /usr/bin/python3")
        }
        if let format = serves.first(where: { !BackendManifest.isFormat($0) }) {
            throw top.failure(
                "serves", "holds '\(format)'; write how the files' names end, in lower case, such as \"gguf\"")
        }
    }

    private static func model(_ node: JSONNode, file: String) throws(SandboxPolicyError) -> Model {
        let entry = try JSONObjectReader(node, "a model", keys: modelKeys, file: file)
        var model = Model(id: try id(entry, try entry.required("id")))
        model.file = try entry.string("file")
        if model.file == "" { throw entry.failure("file", "is empty; leave it out for a model without weights") }
        try model.takeSettings(entry)
        if model.file == nil, !model.adapters.isEmpty {
            throw entry.failure("adapters", "has no meaning for a model without weights; name them as \"file\"")
        }
        if model.file == nil, model.digest != nil {
            throw entry.failure("sha256", "has no meaning for a model without weights; name them as \"file\"")
        }
        if model.file == nil, model.draftFile != nil {
            throw entry.failure("draft", "names a \"file\", which has no meaning for a model without weights")
        }
        if model.chatTemplateFile != nil {
            throw entry.failure(
                "chatTemplate",
                "must be the template itself here; a file is named in the settings of a model in a folder")
        }
        return model
    }

    /// An id that is fit for consumers.
    static func id(_ entry: JSONObjectReader, _ id: String) throws(SandboxPolicyError) -> String {
        guard (1...SandboxPolicyLimits.modelIDBytesMax).contains(id.utf8.count),
            !id.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f })
        else {
            throw entry.failure(
                "id", "must have 1 to \(SandboxPolicyLimits.modelIDBytesMax) bytes without spaces or controls")
        }
        return id
    }

    private static func isFormat(_ text: String) -> Bool {
        (1...16).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) }
    }

    /// An object of plain values, each taken as its text.
    fileprivate static func options(_ entry: JSONObjectReader) throws(SandboxPolicyError) -> [String: String] {
        guard let node = entry.node("options") else { return [:] }
        guard case .object(let members) = node.value, members.count <= SandboxPolicyLimits.optionsMax else {
            throw entry.failure("options", "must be an object of at most \(SandboxPolicyLimits.optionsMax) keys")
        }
        var options: [String: String] = [:]
        for member in members {
            let text: String? =
                switch member.node.value {
                case .string(let text), .number(let text): text
                case .bool(let flag): String(flag)
                default: nil
                }
            guard let text, text.utf8.count <= SandboxPolicyLimits.optionBytesMax else {
                throw SandboxPolicyError(
                    file: entry.file, line: member.line,
                    "option '\(member.key)' must be a string, a number or true or false")
            }
            options[member.key] = text
        }
        return options
    }
}

extension BackendManifest.Model {
    /// Reads the settings that a manifest and a sidecar share (`BackendManifest.settingKeys`).
    mutating func takeSettings(_ entry: JSONObjectReader) throws(SandboxPolicyError) {
        if let text = try entry.string("sha256") {
            digest = fromHexadecimal(text.utf8)
            guard digest?.count == 32 else {
                throw entry.failure("sha256", "must be the 64 hexadecimal digits of a SHA-256")
            }
        }
        contextTokens = try entry.integer("contextTokens", max: UInt64(UInt32.max)).map { UInt32($0) }
        maxSequences = try entry.integer("maxSequences", max: 1 << 16).map { UInt32($0) }
        if maxSequences == 0 { throw entry.failure("maxSequences", "must be at least 1") }
        replicas = try entry.integer("replicas", max: UInt64(UInt32.max)).map { Int($0) }
        guard (1...SandboxPolicyLimits.replicasMax).contains(replicas ?? 1) else {
            throw entry.failure("replicas", "must be 1 to \(SandboxPolicyLimits.replicasMax)")
        }
        memoryMebibytes = try entry.integer("memoryMebibytes", max: 1 << 24)
        if memoryMebibytes == 0 { throw entry.failure("memoryMebibytes", "must be at least 1") }
        threads = try entry.integer("threads", max: 1024).map { UInt32($0) }
        if threads == 0 { throw entry.failure("threads", "must be at least 1") }
        options = try BackendManifest.options(entry)
        if let node = entry.node("sampling") { sampling = try SamplingDefaults(node, file: entry.file) }
        try takeChatTemplate(entry)
        adapters = try ModelAdapter.all(entry)
        if let node = entry.node("draft") {
            let draft = try JSONObjectReader(node, "\"draft\"", keys: ["lookup", "file"], file: entry.file)
            draftLookup = try draft.bool("lookup") ?? false
            draftFile = try draft.string("file")
            if let draftFile, !Self.isNameOfFile(draftFile) {
                throw draft.failure("file", "must be the name of a file beside the model, without a folder")
            }
        }
        if let node = entry.node("embedding") { try takeEmbedding(node, file: entry.file) }
        let keepAlive = try entry.integer("keepAliveSeconds", max: UInt64(UInt32.max)).map { UInt32($0) }
        switch try entry.string("load") {
        case "start":
            guard keepAlive == nil else {
                throw entry.failure("keepAliveSeconds", "has no meaning where \"load\" is \"start\"; leave one out")
            }
            residence = .always
        case "demand": residence = .onDemand(keepAliveSeconds: keepAlive)
        case nil: residence = keepAlive.map { .onDemand(keepAliveSeconds: $0) }
        case let other?: throw entry.failure("load", "must be \"start\" or \"demand\", not '\(other)'")
        }
    }

    private mutating func takeEmbedding(_ node: JSONNode, file: String) throws(SandboxPolicyError) {
        let embedding = try JSONObjectReader(node, "\"embedding\"", keys: ["dimensions"], file: file)
        for node in try embedding.array("dimensions", max: SandboxPolicyLimits.dimensionsMax) ?? [] {
            guard case .number(let text) = node.value, let dimensions = UInt32(text), dimensions > 0 else {
                throw SandboxPolicyError(
                    file: file, line: node.line, "\"dimensions\" must hold whole numbers of at least 1")
            }
            embeddingDimensions.append(dimensions)
        }
        embeddingDimensions = Set(embeddingDimensions).sorted()
    }

    private mutating func takeChatTemplate(_ entry: JSONObjectReader) throws(SandboxPolicyError) {
        guard let text = try entry.string("chatTemplate") else { return }
        // Every template that renders a conversation has a statement or an expression.
        if text.contains("{") {
            if let flaw = Self.flaw(ofTemplate: text) { throw entry.failure("chatTemplate", flaw) }
            chatTemplate = text
            return
        }
        guard Self.isNameOfFile(text) else {
            throw entry.failure(
                "chatTemplate", "must be a Jinja template, or the name of a file beside the model that holds one")
        }
        chatTemplateFile = text
    }

    /// Whether a text can be the name of a file beside the model.
    static func isNameOfFile(_ text: String) -> Bool {
        !text.isEmpty && !text.contains("/") && !text.hasPrefix(".") && text.utf8.count <= 255
            && !text.utf8.contains { $0 < 0x20 || $0 == 0x7f }
    }

    /// The paths of all files that its process opens, where its weights lie at this path: the weights, with all of their
    /// parts, then the adapters in their order, then the draft model.
    package func paths(ofFilesAt path: String) -> [String] {
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
        let further = adapters.map(\.file) + (draftFile.map { [$0] } ?? [])
        return ModelParts.paths(ofModelAt: path) + further.map { folder + $0 }
    }

    /// Why a text can be no chat template, to go on after its name; nil where nothing speaks against it.
    package static func flaw(ofTemplate text: String) -> String? {
        if text.utf8.count > SandboxPolicyLimits.chatTemplateBytesMax {
            return "has \(text.utf8.count) bytes; a template has at most \(SandboxPolicyLimits.chatTemplateBytesMax)"
        }
        if text.utf8.contains(0) { return "holds a NUL character; leave it out" }
        return text.contains("{") ? nil : "is no Jinja template: it has neither a statement nor an expression"
    }
}
