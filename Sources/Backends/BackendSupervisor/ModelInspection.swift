package import BackendIPC
internal import EventLoop
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import TerminalText

/// The result of an inspection: what a backend tells of a model's file.
package enum InspectedFile: Equatable, Sendable {
    case inspected(Inspected)
    /// The model cannot be loaded; a sentence for its owner.
    case refused(String)
    /// The backend does not tell; why. What its settings allow counts as what it takes.
    case untold(String)
    /// This backend inspects no model.
    case unable
}

/// Has a backend inspect a model's file: a process of its own in the backend's sandbox, which tells what loading would take
/// and ends.
///
/// The I/O loop's own; keeps itself alive until its process has ended.
@IOLoop
final class ModelInspection {
    private let definition: BackendDefinition
    private let setting: BackendSetting
    private var start: BackendStart?
    private var launched: StartedBackend?
    private var process: BackendProcess?
    private var connection: BackendConnection?
    private var log: BackendLog
    private var deadline: Timer?
    private var waiting: CheckedContinuation<InspectedFile, Never>?

    /// The result of an inspection that did not come to its end because its owner lets nothing compute.
    nonisolated static let endedByPause = InspectedFile.untold("its inspection was ended by a pause")

    /// - Parameter memoryMebibytes: the most that loading may take beside the weights, where the settings do not say.
    static func run(
        _ definition: BackendDefinition, memoryMebibytes: UInt64, setting: BackendSetting
    ) async -> InspectedFile {
        let inspection = ModelInspection(definition.with(memoryMebibytes: memoryMebibytes), setting)
        let name = ObjectIdentifier(inspection)
        setting.inspections[name] = { inspection.end(endedByPause) }
        defer { setting.inspections[name] = nil }
        return await withCheckedContinuation { continuation in
            inspection.waiting = continuation
            inspection.begin()
        }
    }

    private init(_ definition: BackendDefinition, _ setting: BackendSetting) {
        self.definition = definition
        self.setting = setting
        let limits = setting.configuration.limits
        log = BackendLog(
            bytesMax: limits.logBytesMax, linesMax: limits.logLinesMax, lineBytesMax: limits.logLineBytesMax)
    }

    private func begin() {
        let limits = setting.configuration.limits
        deadline = IOLoop.schedule(afterMilliseconds: limits.inspectionMilliseconds) {
            self.end(.untold("its inspection took longer than \(limits.inspectionMilliseconds) ms"))
        }
        let start = BackendStart(
            definition: definition, starter: setting.starter, digests: nil,
            policiesDirectory: setting.configuration.policiesDirectory,
            weightsSettledMilliseconds: limits.weightsSettledMilliseconds)
        self.start = start
        Task {
            switch await start.run() {
            case .failure(let failure): self.end(.untold(failure.description))
            case .success(let launched): self.adopt(launched)
            }
        }
    }

    private func adopt(_ launched: StartedBackend) {
        guard waiting != nil else { return launched.process.end() }
        self.launched = launched
        let limits = setting.configuration.limits
        do throws(LinuxError) {
            connection = try BackendConnection(launched.process, limits: limits, owner: self)
            process = try BackendProcess(
                launched.process, limits: limits, wrote: { self.log.append($0, at: 0) }, denied: { _ in },
                exited: { self.exited($0, $1) })
            log.beginProcess(launched.process.process.processID)
        } catch {
            launched.process.end()
            end(.untold(error.description))
        }
    }

    private func exited(_ process: BackendProcess, _ status: ExitStatus) {
        connection?.readRest()
        let words = process.launchFailure?.description ?? log.linesOfProcess.last ?? ""
        end(.untold("the process that inspected it ended (\(status)) \(printable(words))"))
        // The closures keep this object until here.
        self.process = nil
        launched = nil
    }

    private func end(_ result: InspectedFile) {
        guard let waiting else { return }
        self.waiting = nil
        deadline?.cancel()
        deadline = nil
        start?.control.callOff()
        connection?.close()
        connection = nil
        process?.kill()
        waiting.resume(returning: result)
    }
}

extension ModelInspection: BackendConnectionOwner {
    func heard(_ hello: Hello) {
        guard hello.capabilities.contains("inspect"), let revision = BackendConversation.commonRevision(hello) else {
            return end(.unable)
        }
        if let lack = definition.lack(of: hello.capabilities, launched?.weights) {
            return end(.refused("its backend \(lack)"))
        }
        let configuration = setting.configuration
        connection?.welcome(
            Welcome(
                revision: revision, maxFrameBytes: UInt32(clamping: configuration.limits.backendFrameBytesMax),
                pingIntervalMilliseconds: UInt32(clamping: configuration.limits.pingIntervalMilliseconds)),
            definition.load(
                launched?.weights, owner: configuration.owner, limits: configuration.limits, inspectOnly: true))
    }

    func heard(_ inspected: Inspected) { end(.inspected(inspected)) }

    func gaveUp(_ fault: Fault) {
        let sentence = printable(fault.message)
        end(fault.code == .badModel ? .refused(sentence) : .untold(sentence))
    }

    func broke(_ violation: ContractViolation) { end(.untold(printable(violation.description))) }
    // Its exit tells more.
    func connectionEnded() {}
    func heard(_ progress: LoadProgress) {}
    func heard(_ loaded: Loaded) {}
    func heard(_ pong: Pong) {}
    func roomFreed() {}
}
