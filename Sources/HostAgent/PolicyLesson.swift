internal import BackendSupervisor
internal import Foundation
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxPolicy

/// Learns which policy a program needs: runs it with every call told of, finds the smallest policy that allows what it
/// did, and runs it again under that.
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
    /// How long a program that says nothing as a backend may run.
    package var seconds: UInt64 = 10
    /// A serialized `hearth.v1.GenerateRequest`, asked of a backend once it has loaded.
    package var request: [UInt8]
    /// Who to become when this process is root.
    package var user: String?

    package init(program: String, request: [UInt8]) {
        self.program = program
        self.request = request
    }

    package struct Report: Sendable {
        /// The program's file name.
        package let name: String
        /// What it did while it learned, and what it did under the smallest policy: a sentence each.
        package let lesson: String
        package let check: String
        /// Whether it did as well under the smallest policy.
        package let isConfirmed: Bool
        package let nearest: String
        /// Calls that the nearest policy denies and the program needs, in words.
        package let missing: [String]
        /// Those that it made and can do without.
        package let dispensable: [String]
        /// Calls that it allows and that were not made.
        package let unused: [String]
        /// Lines of the smallest policy's file.
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
        let launcher = SandboxLauncher(
            launcherPath: try InstalledParts.program("hearth-sandbox", executable: hearth),
            policiesDirectory: policiesFolder, tier: .full, host: .find(claimingControlGroups: false))
        let named = try NamedProgram(program, path: path)
        do {
            let strict = try SeccompPolicy.named("strict", in: policiesFolder)
            let manifest = try manifest(of: named)
            var owner = OwnerLimits(threads: threads)
            owner.memoryMebibytes = max(memoryMebibytes, manifest.memoryMebibytes ?? 0)
            owner.readablePaths = binds + manifest.readOnlyPaths
            var play = Rehearsal.Play(
                launcher: launcher, folder: named.folder, name: named.name, manifest: manifest, owner: owner,
                policy: PolicyLearning.telling(base: strict, .asDenied), request: request)
            play.arguments = arguments
            play.helloMilliseconds = seconds * 1000
            play.tellingArguments = PolicyLearning.tellingArguments
            var lesson = try await Rehearsal.run(play)
            if !lesson.isWell {
                // It may not know how to go on without what was denied.
                play.policy = PolicyLearning.telling(base: strict, .asUnimplemented)
                lesson = try await Rehearsal.run(play)
            }
            let calls = lesson.calls.filter { $0.errno == 0 }.map(\.call)
            let learning = PolicyLearning(installed: try folder.names().map { try folder.policy(meant: $0) })
            let result = try learning.learn(from: calls, name: named.name)
            play.tellingArguments = nil
            let (needed, check) = try await PolicyLesson.needed(result, play, asWellAs: lesson)
            let smallest = result.smallest(with: needed)
            return Report(
                name: named.name, lesson: lesson.sentence, check: check.sentence,
                isConfirmed: check.isAsWell(as: lesson), nearest: result.nearest.name,
                missing: PolicyLesson.words(needed),
                dispensable: PolicyLesson.words(result.missing.filter { !needed.contains($0) }), unused: result.unused,
                smallest: smallest.lines, difference: LineDifference.lines(result.nearest.lines, smallest.lines),
                executions: result.executions)
        } catch let error as HostError {
            throw error
        } catch {
            throw HostError("\(error)")
        }
    }

    /// Which of the calls that the nearest policy lacks the program cannot do without: it is run without all of them, then
    /// without each one. The outcome is that of the last run that went as well.
    private static func needed(
        _ result: PolicyLearning.Result, _ play: Rehearsal.Play, asWellAs lesson: Rehearsal.Outcome
    ) async throws -> ([SystemCall], Rehearsal.Outcome) {
        var play = play
        // Under a policy that lets too little the program may not even be launched.
        func trial(with missing: [SystemCall]) async -> Rehearsal.Outcome? {
            play.policy = result.smallest(with: missing)
            guard let outcome = try? await Rehearsal.run(play), outcome.isAsWell(as: lesson) else { return nil }
            return outcome
        }
        if let outcome = await trial(with: []) { return ([], outcome) }
        var needed = result.missing
        guard var outcome = await trial(with: needed) else {
            play.policy = result.smallest(with: needed)
            return (needed, try await Rehearsal.run(play))
        }
        for call in result.missing.prefix(trialsMax) {
            let others = needed.filter { $0 != call }
            if let trial = await trial(with: others) { (needed, outcome) = (others, trial) }
        }
        return (needed, outcome)
    }

    /// Calls that the program is tried without, one after the other.
    private static let trialsMax = 16

    /// The one beside the program, as in a backends folder, and the binds of the command line.
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

extension Rehearsal.Outcome {
    fileprivate func isAsWell(as other: Rehearsal.Outcome) -> Bool { act >= other.act && isWell == other.isWell }

    fileprivate var sentence: String {
        let ending = detail.isEmpty ? "" : " (\(detail))"
        return switch act {
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
