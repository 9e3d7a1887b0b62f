import Foundation
import Testing

/// A kernel that refuses one of the calls that a layer is made with: the backend does not run, and why is said. Nothing
/// is ever left out in silence.
@Suite(.serialized) struct RefusalIntegrationTests {
    private let stage: Stage

    init() throws { stage = try Stage() }

    /// What a layer is made with, and its name in the launcher's line.
    private struct Refused {
        let call: String
        let layer: String
        /// Whether tier reduced needs it too.
        var reduced = false
    }

    /// PR_SET_DUMPABLE and so on are the numbers of linux/prctl.h.
    private static let calls: [Refused] = [
        Refused(call: "unshare", layer: "user-namespace"), Refused(call: "unshare:0x10000000", layer: "user-namespace"),
        Refused(call: "mount", layer: "mount-namespace"), Refused(call: "open_tree", layer: "empty-root"),
        Refused(call: "move_mount", layer: "empty-root"), Refused(call: "fsopen", layer: "empty-root"),
        Refused(call: "fsconfig", layer: "empty-root"), Refused(call: "fsmount", layer: "empty-root"),
        Refused(call: "mount_setattr", layer: "empty-root"), Refused(call: "pivot_root", layer: "empty-root"),
        Refused(call: "umount2", layer: "empty-root"), Refused(call: "pidfd_open", layer: "lifeline"),
        Refused(call: "prctl=24", layer: "no-capabilities"),  // PR_CAPBSET_DROP
        Refused(call: "prctl=28", layer: "no-capabilities"),  // PR_SET_SECUREBITS
        Refused(call: "landlock_create_ruleset", layer: "landlock", reduced: true),
        Refused(call: "landlock_add_rule", layer: "landlock", reduced: true),
        Refused(call: "landlock_restrict_self", layer: "landlock", reduced: true),
        Refused(call: "seccomp", layer: "seccomp", reduced: true),
        Refused(call: "ioctl", layer: "seccomp", reduced: true),
        Refused(call: "prctl", layer: "no-new-privileges", reduced: true),
        Refused(call: "prctl=38", layer: "no-new-privileges", reduced: true),  // PR_SET_NO_NEW_PRIVS
        Refused(call: "prctl=1", layer: "lifeline", reduced: true),  // PR_SET_PDEATHSIG
        Refused(call: "prctl=4", layer: "", reduced: true),  // PR_SET_DUMPABLE
        Refused(call: "prctl=47", layer: "no-capabilities", reduced: true),  // PR_CAP_AMBIENT
        Refused(call: "capset", layer: "no-capabilities", reduced: true),
        Refused(call: "capget", layer: "no-capabilities", reduced: true),
        Refused(call: "prlimit64,setrlimit", layer: "resource-limits", reduced: true),
        Refused(call: "close_range", layer: "clean-descriptors", reduced: true),
        Refused(call: "signalfd4", layer: "lifeline", reduced: true),
        Refused(call: "pipe2", layer: "lifeline", reduced: true),
        Refused(call: "rt_sigprocmask", layer: "lifeline", reduced: true),
        Refused(call: "setsid", layer: "clean-descriptors", reduced: true),
        Refused(call: "clone", layer: "", reduced: true), Refused(call: "ppoll", layer: "lifeline", reduced: true),
        Refused(call: "execveat", layer: "", reduced: true), Refused(call: "openat2", layer: "", reduced: true),
    ]

    /// A launcher for which the kernel refuses these calls, and for nobody else.
    private func launcher(refusing calls: String, with errno: String) throws -> [String] {
        let path = "\(stage.folder)/refused-launcher"
        let line = "exec '\(stage.folder)/refuse-calls' \(errno) '\(calls)' -- '\(stage.folder)/\(stage.launcherName)'"
        // Written by another process, for the reason that `Stage.copy` has.
        let writer = try RunningProgram(
            ["sh", "-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh", line, path], in: "/")
        let output = try writer.readToEnd()
        try #require(writer.waitForExit() == 0, "\(output)")
        return ["--launcher", path]
    }

    /// Both tiers have something to show, so that no call of theirs is left out.
    private func launch(_ options: [String], within: [String] = []) throws -> Stage.Outcome {
        let shown = "\(stage.folder)/writable"
        return try stage.run(["launch"] + options + ["--bind", shown, stage.probe, "facts"], within: within)
    }

    private func expectRan(_ outcome: Stage.Outcome, _ comment: String) {
        #expect(outcome.status == 0, "\(comment): \(outcome.output)")
        #expect(outcome.output.contains("descriptors 0 1 2 3"), "\(comment): \(outcome.output)")
    }

    private func expectRefused(_ outcome: Stage.Outcome, layer: String, _ comment: String) {
        #expect(outcome.status == 125, "\(comment): \(outcome.output)")
        // The line of several layers that one call makes names all of them.
        let isNamed = outcome.lines.contains {
            $0.hasPrefix("hearth-sandbox: ") && (layer.isEmpty || $0.contains(layer))
        }
        #expect(isNamed, "\(comment): \(outcome.output)")
        #expect(!outcome.output.contains("descriptors 0"), "\(comment): the backend ran")
    }

    @Test("with nothing refused the backend runs", arguments: ["full", "reduced"])
    func control(tier: String) throws {
        let launcher = try launcher(refusing: "unshare:0x80", with: "EPERM")
        expectRan(try launch(["--tier", tier]), "plain")
        expectRan(try launch(["--tier", tier] + launcher), "through the script that refuses")
    }

    /// On one stage for all of them, because making a stage takes longer than many launches.
    private func forEachRefusal(_ body: (Refused, _ errno: String) throws -> Void) rethrows {
        for refused in Self.calls {
            for errno in ["EPERM", "ENOSYS"] { try body(refused, errno) }
        }
    }

    @Test("in tier full, any call of a layer that is refused ends the launch with the layer's name")
    func full() throws {
        try forEachRefusal { refused, errno in
            let outcome = try launch(launcher(refusing: refused.call, with: errno))
            expectRefused(outcome, layer: refused.layer, "\(errno) \(refused.call)")
        }
    }

    @Test("in tier reduced, the calls that it needs end the launch as well, and all others change nothing")
    func reduced() throws {
        try forEachRefusal { refused, errno in
            let outcome = try launch(["--tier", "reduced"] + launcher(refusing: refused.call, with: errno))
            if refused.reduced {
                expectRefused(outcome, layer: refused.layer, "\(errno) \(refused.call)")
            } else {
                expectRan(outcome, "\(errno) \(refused.call)")
            }
        }
    }

    @Test("where the agent itself meets these refusals, nothing runs either")
    func agent() throws {
        try forEachRefusal { refused, errno in
            let within = ["\(stage.folder)/refuse-calls", errno, refused.call, "--"]
            let outcome = try launch([], within: within)
            #expect(outcome.status != 0, "\(errno) \(refused.call): \(outcome.output)")
            #expect(!outcome.output.contains("descriptors 0"), "\(errno) \(refused.call): the backend ran")
            #expect(!outcome.output.isEmpty, "\(errno) \(refused.call): nothing was said")
        }
    }

    @Test("tier full does not become reduced by itself where only namespaces are refused; the line names the way out")
    func neverSilently() throws {
        let launcher = try launcher(refusing: "unshare:0x10000000", with: "EPERM")
        let full = try launch(launcher)
        #expect(full.status == 125)
        #expect(full.output.contains("ask for tier 'reduced'"))
        let reduced = try launch(["--tier", "reduced"] + launcher)
        expectRan(reduced, "reduced")
        #expect(!reduced.output.contains("process 2 parent 1"), "it is not in a namespace of its own")
    }
}
