internal import BackendIPC
internal import BackendSupervisor
internal import BaseEncodings
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import LaunchPlan
internal import LimitDeclaration
internal import ModelPull
internal import PolicyExplanation
internal import SandboxPolicy
internal import SeccompFilter
internal import SwiftProtobuf
internal import TerminalText
internal import TraceExport

/// Builds the answers and errors of `AdminService` from values. Pure.
enum AdminAnswers {
    /// The tier to report for the running backends: "full" only if every one runs in it; empty when none runs.
    static func weakest(of tiers: [String]) -> String { tiers.first { $0 != "full" } ?? tiers.first ?? "" }

    /// NOT_FOUND, with the names of the backends that exist.
    static func unknown(backend: String, known: [String]) -> Status {
        Status(
            .notFound, "there is no backend '\(backend)'; there are: \(list(Set(known).sorted()))")
    }

    /// NOT_FOUND, with the models that exist and their backends.
    static func unknown(model: String, of backend: String, known: [(model: String, backend: String)]) -> Status {
        Status(
            .notFound,
            "there is no model '\(model)' of a backend '\(backend)'; there are: "
                + list(known.map { "'\($0.model)' of \($0.backend)" }))
    }

    private static func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }

    /// `timesMet`: how often consumers met it; nil where that is not counted.
    static func described(_ limit: NamedLimit, timesMet: UInt64?) -> Hearth_Admin_V1_Limit {
        .with {
            $0.name = limit.name
            $0.value = limit.value
            $0.unit = limit.unit
            $0.meaning = limit.meaning
            if let timesMet { $0.timesMet = timesMet }
        }
    }

    static func described(_ change: BackendPins.Change) -> Hearth_Admin_V1_FileChange {
        .with {
            $0.file = change.part.rawValue
            $0.wasSha256 = hexadecimal(change.was ?? [])
            $0.isSha256 = hexadecimal(change.found ?? [])
        }
    }

    static func described(_ hold: OwnerHold) -> Hearth_Admin_V1_Hold {
        .with {
            $0.pause = hold.pause?.rawValue ?? ""
            $0.draining = hold.isDraining
        }
    }

    static func described(_ risk: ResidualRisk) -> Hearth_Admin_V1_ResidualRisk {
        .with {
            $0.name = risk.name
            $0.exposure = risk.exposure
            $0.remedy = risk.remedy
        }
    }

    static func described(_ event: PullEvent) -> Hearth_Admin_V1_PullProgress {
        .with {
            $0.event = event.kind.rawValue
            $0.text = event.text
            $0.doneBytes = event.done
            $0.totalBytes = event.total
            $0.model = event.model
            $0.name = event.name
            $0.exitCode = UInt32(clamping: event.code)
        }
    }

    static func described(_ output: BackendOutput) -> Hearth_Admin_V1_ReadLogResponse {
        .with {
            $0.lines = output.lines.map { line in
                .with {
                    $0.number = line.number
                    $0.timeMilliseconds = line.milliseconds
                    $0.pid = line.pid
                    $0.text = line.text
                }
            }
            $0.lastNumber = output.lastNumber
            $0.unfinished = output.unfinished
            $0.log = output.log
        }
    }

    /// `file`: what the backend told of the model's file; nil for a model without one.
    @IOLoop
    static func described(_ backend: ManagedBackend, _ file: InspectedFile?) -> Hearth_Admin_V1_ModelDetails {
        .with {
            $0.model = backend.model
            $0.backend = backend.name
            $0.state = backend.state.rawValue
            $0.detail = backend.detail
            $0.path = backend.weightsPath ?? ""
            $0.fileBytes = backend.weightsBytes
            $0.sha256 = hexadecimal(backend.modelDigest)
            $0.contextTokens = backend.maxContextTokens
            $0.maxSequences = backend.maxSequences
            $0.memoryMaxBytes = backend.memoryMaxBytes
            $0.capabilities = backend.capabilities
            $0.replicas = UInt32(clamping: backend.replicas)
            switch file {
            case .inspected(let inspected):
                $0.architecture = printable(inspected.architecture)
                $0.name = printable(inspected.name)
                $0.parameters = inspected.parameters
                $0.quantisation = printable(inspected.quantisation)
                $0.trainedContextTokens = inspected.trainedContextTokens
                $0.licence = printable(inspected.licence)
                $0.hasChatTemplate_p = inspected.hasChatTemplate
                $0.templateFlaw = printable(inspected.templateFlaw)
                if $0.contextTokens == 0 {
                    $0.contextTokens = inspected.contextTokens
                    $0.maxSequences = inspected.maxSequences
                }
                $0.cacheTokens = inspected.cacheTokens
                $0.contextBytes = inspected.contextBytes
                $0.copiedWeightsBytes = inspected.copiedWeightsBytes
            case .refused(let sentence), .untold(let sentence): $0.untold = sentence
            case .unable: $0.untold = "its backend does not inspect files"
            case nil: break
            }
        }
    }

    /// The number that tells the processes of one model apart; 0 where there is one.
    @IOLoop
    static func replica(of backend: ManagedBackend) -> UInt32 { UInt32(clamping: backend.replica ?? 0) }

    /// `allowedBy`: the policies that would let it pass. The entry that sums up kinds beyond the limit has neither a
    /// meaning nor such policies.
    static func described(
        _ entry: DeniedCalls.Entry, model: String, replica: UInt32 = 0, allowedBy: [String]
    ) -> Hearth_Admin_V1_DeniedCall {
        let call = entry.call.call
        let description = CallDescription(call)
        return .with {
            $0.model = model
            $0.replica = replica
            $0.name = description.name
            $0.argument = description.argument
            $0.arguments = call.arguments
            $0.errno = UInt32(entry.call.errno)
            $0.count = entry.call.count
            $0.firstSeenMilliseconds = entry.firstSeenMilliseconds
            if call.number != SupervisedCall.otherKinds {
                $0.meaning = SyscallMeaning(call).phrase
                $0.allowedBy = allowedBy
            }
        }
    }
}

extension AdminAnswers {
    static func described(_ report: Tracer.Report) -> Hearth_Admin_V1_TraceExport {
        .with {
            $0.endpoint = report.endpoint
            $0.state = report.state.rawValue
            $0.detail = report.detail
            $0.failingSinceMilliseconds = report.failingSince
            $0.spansExported = report.exported
            $0.spansDropped = report.dropped
            $0.spansWaiting = UInt32(clamping: report.waiting)
        }
    }
}
