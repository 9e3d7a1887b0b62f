package import BackendDriver
package import BackendIPC
internal import LinuxSystem

// A backend that is started without a sandbox, and what it is asked to load.
extension BackendDriver {
    /// Starts a backend, and sends no message. The driver's process is a `BackendProcess`.
    package convenience init(_ program: BackendProgram, patienceMilliseconds: UInt64 = 20_000) throws {
        let (ours, theirs) = try Descriptor.socketPair().take { ours, theirs in (ours.release(), theirs.release()) }
        let agentEnd = Descriptor(owning: ours)
        let backendEnd = Descriptor(owning: theirs)
        try backendEnd.setNonblocking(!program.socketBlocks)
        let process = try BackendProcess(program, socket: backendEnd.raw)
        try self.init(socket: agentEnd, process: process, patienceMilliseconds: patienceMilliseconds)
    }

    /// Asks for a model, with the weights that its program names.
    package func askToLoad(
        model: String, contextTokens: UInt32 = 0, maxSequences: UInt32 = 16, options: [String: String] = [:],
        inspectOnly: Bool = false, draftLookup: Bool = false
    ) throws {
        let program = (process as? BackendProcess)?.program
        var load = Load(
            model: model, contextTokens: contextTokens, maxSequences: maxSequences, options: options,
            inspectOnly: inspectOnly, draftLookup: draftLookup)
        load.adapters = (program?.adapters ?? []).enumerated().map { index, adapter in
            LoadedAdapter(
                name: adapter.name, descriptor: BackendProcess.firstAdapterDescriptor + UInt32(index),
                scale: adapter.scale, isDefault: adapter.isDefault)
        }
        if let program, program.draft != nil {
            load.draftWeightsDescriptor = BackendProcess.firstAdapterDescriptor + UInt32(program.adapters.count)
        }
        if let weights = program?.weights {
            load.weightsDescriptor = BackendProcess.weightsDescriptor
            load.weightsBytes = try FileFacts(following: weights).byteCount
        }
        try say(.load(load))
    }

    /// Takes the backend from its start to the point where sequences can run.
    package func load(
        model: String, contextTokens: UInt32 = 0, maxSequences: UInt32 = 16, options: [String: String] = [:],
        draftLookup: Bool = false
    ) throws {
        try shakeHands()
        try askToLoad(
            model: model, contextTokens: contextTokens, maxSequences: maxSequences, options: options,
            draftLookup: draftLookup)
        try listen { $0.conversation.phase == .ready }
    }

    /// Has the backend inspect its weights instead of loading them.
    package func inspect(contextTokens: UInt32 = 0, maxSequences: UInt32 = 16) throws -> Inspected {
        try shakeHands()
        try askToLoad(model: "inspected", contextTokens: contextTokens, maxSequences: maxSequences, inspectOnly: true)
        try listen { $0.inspected != nil }
        return inspected ?? Inspected()
    }
}
