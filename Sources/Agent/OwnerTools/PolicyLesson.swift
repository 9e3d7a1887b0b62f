internal import BackendSupervisor
internal import Foundation
internal import Installation
internal import LaunchPlan
internal import LinuxSystem
internal import PolicyExplanation
internal import SandboxLaunch
internal import SandboxPolicy
internal import SeccompFilter
package import Settings

/// Learns which policy a program needs: runs it with every call reported, finds the smallest policy that allows these
/// calls, and runs the program again under that.
///
/// While it learns the filter lets calls pass, so a hostile program is held by the other layers of tier full only: no
/// file but the binds, no network, no other process.
package struct PolicyLesson: Sendable {
    /// A path, or a name that is looked up in PATH.
    package var program: String
    package var arguments: [String] = []
    package var policies: String?
    package var binds: [String] = []
    package var memoryMebibytes: UInt64 = 1024
    package var threads: UInt32 = 4
    /// How long a program may run that does not behave as a backend.
    package var seconds: UInt64 = 10
    /// A serialized `hearth.v1.GenerateRequest`, asked of a backend once it has loaded.
    package var request: [UInt8]
    /// The user to become when this process is root.
    package var user: String?

    package init(program: String, request: [UInt8]) {
        self.program = program
        self.request = request
    }

    package struct Report: Sendable {
        /// The program's file name.
        package let name: String
        /// What the program did in the learning run, and what it did under the smallest policy: a sentence each.
        package let lesson: String
        package let check: String
        /// Whether the program did as well under the smallest policy.
        package let isConfirmed: Bool
        package let nearest: String
        /// Calls that the nearest policy denies and the program needs, in words.
        package let missing: [String]
        /// Denied calls that the program made and can do without.
        package let dispensable: [String]
        /// Calls that the nearest policy allows and that were not made.
        package let unused: [String]
        /// The lines of the smallest policy's file.
        package let smallest: [String]
        /// How its lines differ from the nearest policy's.
        package let difference: [String]
        package let executions: Int
    }

    /// Throws when the program cannot be started, naming the remedy.
    package func learn(executable hearth: String, path: String) async throws(HostError) -> Report {
        try PrivilegeDrop.apply(user: user) { (_) throws(HostError) in }
        let policiesFolder = try InstalledParts.policies(asked: policies, executable: hearth)
        let folder = PolicyFolder(policiesFolder)
        let sandbox = Sandbox(
            launcherPath: try InstalledParts.program("hearth-sandbox", executable: hearth),
            policiesDirectory: policiesFolder, tier: .full, host: .find(claimingControlGroups: false))
        let named = try NamedProgram(program, path: path)
        do {
            let strict = try SeccompPolicy.named("strict", in: policiesFolder)
            let manifest = try manifest(of: named)
            var owner = OwnerLimits(threads: threads)
            owner.memoryMebibytes = max(memoryMebibytes, manifest.memoryMebibytes ?? 0)
            owner.readablePaths = binds + manifest.readOnlyPaths + (manifest.interpreter.map { [$0] } ?? [])
            var setup = TrialRun.Setup(
                sandbox: sandbox, folder: named.folder, name: named.name, manifest: manifest, owner: owner,
                policy: PolicyLearning.telling(base: strict, .asDenied), request: request)
            setup.arguments = arguments
            setup.helloMilliseconds = seconds * 1000
            setup.tellingArguments = PolicyLearning.tellingArguments
            var lesson = try await TrialRun.run(setup)
            if !lesson.isWell {
                // The program may not be able to go on without the denied calls.
                setup.policy = PolicyLearning.telling(base: strict, .asUnimplemented)
                lesson = try await TrialRun.run(setup)
            }
            let calls = lesson.calls.filter { $0.errno == 0 }.map(\.call)
            let learning = PolicyLearning(installed: try folder.names().map { try folder.policy(meant: $0) })
            setup.tellingArguments = nil
            let trials = Trials(
                comparisons: try learning.comparisons(with: calls, name: named.name), setup: setup, lesson: lesson)
            let found = try await trials.find()
            let smallest = found.nearest.smallest(with: found.needed)
            let policy = found.nearest.policy
            return Report(
                name: named.name, lesson: lesson.sentence, check: found.check.sentence,
                isConfirmed: found.check.isAsWell(as: lesson), nearest: policy.name,
                missing: PolicyLesson.words(found.needed),
                dispensable: PolicyLesson.words(found.nearest.missing.filter { !found.needed.contains($0) }),
                unused: found.nearest.unused, smallest: smallest.lines,
                difference: LineDifference.lines(policy.lines, smallest.lines),
                executions: calls.count(where: PolicyLearning.isExecution))
        } catch let error as HostError {
            throw error
        } catch {
            throw HostError("\(error)")
        }
    }

    /// The manifest beside the program, as in the folder of backends, with the binds of the command line.
    private func manifest(of named: NamedProgram) throws -> BackendManifest {
        let path = "\(named.folder)/\(named.name).json"
        var manifest =
            FileManager.default.fileExists(atPath: path)
            ? try BackendManifest.load(path, executableName: named.name)
            : BackendManifest(executableName: named.name)
        manifest.readOnlyPaths += binds.filter { !manifest.readOnlyPaths.contains($0) }
        manifest.memoryMebibytes = max(manifest.memoryMebibytes ?? 0, memoryMebibytes)
        manifest.threads = manifest.threads ?? threads
        return manifest
    }

    private static func words(_ calls: [SystemCall]) -> [String] {
        var words: [String] = []
        for call in calls {
            let description = CallDescription(call)
            let text = description.argument.isEmpty ? description.name : "\(description.name)(\(description.argument))"
            if !words.contains(text) { words.append(text) }
        }
        return words.sorted()
    }
}

/// Runs the program under smaller policies than it was seen to need, to find out what it does need.
private struct Trials {
    /// Calls that the program is tried without, one after the other.
    private static let callsMax = 16

    /// The least exposing policy first.
    let comparisons: [PolicyLearning.Comparison]
    let setup: TrialRun.Setup
    /// What the program did in the learning run.
    let lesson: TrialRun.Outcome

    struct Found {
        let nearest: PolicyLearning.Comparison
        var needed: [SystemCall]
        /// What the program did under the smallest policy.
        var check: TrialRun.Outcome
    }

    /// The least exposing installed policy under which the program does as well; if there is none, the one that lacks
    /// least, with the missing calls that the program cannot do without.
    func find() async throws -> Found {
        for comparison in comparisons {
            if let outcome = await run(comparison, with: []) {
                return Found(nearest: comparison, needed: [], check: outcome)
            }
        }
        guard let nearest = comparisons.min(by: { $0.missing.count < $1.missing.count }) else {
            throw HostError("no policy is installed to compare with")
        }
        guard let outcome = await run(nearest, with: nearest.missing) else {
            var last = setup
            last.policy = nearest.smallest(with: nearest.missing)
            return Found(nearest: nearest, needed: nearest.missing, check: try await TrialRun.run(last))
        }
        var found = Found(nearest: nearest, needed: nearest.missing, check: outcome)
        for call in nearest.missing.prefix(Trials.callsMax) {
            let others = found.needed.filter { $0 != call }
            if let outcome = await run(nearest, with: others) { (found.needed, found.check) = (others, outcome) }
        }
        return found
    }

    /// What the program did, if it did as well; nil otherwise. Under a policy that allows too little it may not even be
    /// launched.
    private func run(
        _ comparison: PolicyLearning.Comparison, with missing: [SystemCall]
    ) async -> TrialRun.Outcome? {
        var setup = setup
        setup.policy = comparison.smallest(with: missing)
        guard let outcome = try? await TrialRun.run(setup), outcome.isAsWell(as: lesson) else { return nil }
        return outcome
    }
}

extension TrialRun.Outcome {
    fileprivate func isAsWell(as other: TrialRun.Outcome) -> Bool { reach >= other.reach && isWell == other.isWell }

    fileprivate var sentence: String {
        let ending = detail.isEmpty ? "" : " (\(detail))"
        return switch reach {
        case .answered: "it loaded its model and answered a request"
        case .loaded: "it loaded its model, but did not answer a request\(ending)"
        case .greeted: "it greeted, but loaded no model\(ending)"
        case .started:
            exit == .exited(0)
                ? "it ended with exit status 0 and said nothing as a backend"
                : "it said nothing as a backend\(ending)"
        }
    }
}
