import Foundation
import Testing

/// What a launch hands over, reports, and refuses.
@Suite(.serialized) struct LaunchIntegrationTests {
    private let stage: Stage

    init() throws { stage = try Stage() }

    @Test("the backend's exit status is the launcher's, a signal is 128 and its number")
    func exitStatus() throws {
        #expect(try stage.run(["launch", stage.probe, "exit", "0"]).status == 0)
        #expect(try stage.run(["launch", stage.probe, "exit", "7"]).status == 7)
        #expect(try stage.run(["launch", stage.probe, "signal", "9"]).status == 128 + 9)
        #expect(try stage.run(["launch", stage.probe, "abort"]).status == 128 + 6)
        #expect(try stage.run(["launch", "--tier", "reduced", stage.probe, "exit", "7"]).status == 7)
        #expect(try stage.run(["launch", "--tier", "reduced", stage.probe, "signal", "9"]).status != 0)
    }

    @Test("the socket carries bytes both ways, and closes when the backend ends", arguments: ["full", "reduced"])
    func socket(tier: String) throws {
        let outcome = try stage.run(["echo", "--tier", tier, stage.probe])
        #expect(outcome.lines == ["over the socket", "closed"])
        #expect(outcome.status == 0)
    }

    @Test("threads start, up to the limit")
    func threads() throws {
        let some = try stage.run(["launch", "--threads", "4", stage.probe, "threads", "8"])
        #expect(some.output == "threads 8\n")
        let many = try stage.run(["launch", "--threads", "1", stage.probe, "threads", "200"])
        #expect(many.status == 1)
        #expect(many.output.hasPrefix("threads "))
    }

    @Test("weights come as a descriptor that can be mapped and read, but not written")
    func weights() throws {
        let file = "\(stage.folder)/writable/weights"
        try Data("the weights".utf8).write(to: URL(fileURLWithPath: file))
        let options = ["launch", "--hand-over", file, stage.probe, "read-mapping", "8"]
        #expect(
            try stage.run(["launch", "--policy", "inference-cpu"] + options.dropFirst()).output
                == "mapped the weights\n")
        #expect(try stage.run(options).status == 2, "strict maps no files")
    }

    @Test("a bound folder can be read, not written, and nothing beside it is there")
    func bind() throws {
        let shown = "\(stage.folder)/shown"
        try FileManager.default.createDirectory(atPath: shown, withIntermediateDirectories: true)
        try Data("seen".utf8).write(to: URL(fileURLWithPath: "\(shown)/file"))
        try stage.own(shown)
        for tier in ["full", "reduced"] {
            let launch = ["launch", "--tier", tier, "--policy", "permissive", "--bind", shown, stage.probe]
            #expect(try stage.run(launch + ["read-file", "\(shown)/file"]).output == "read seen\n")
            #expect(try stage.run(launch + ["write-file", "\(shown)/file"]).status == 1)
            #expect(try stage.run(launch + ["write-file", "\(shown)/new"]).status == 1)
            #expect(try stage.run(launch + ["read-file", "/etc/passwd"]).status == 1)
        }
    }

    @Test("a device that is shown can be used, in either tier, and no other", arguments: ["full", "reduced"])
    func device(tier: String) throws {
        let launch = ["launch", "--tier", tier, "--policy", "permissive"]
        let read = [stage.probe, "read-file", "/dev/zero"]
        #expect(try stage.run(launch + read).status == 1)
        #expect(try stage.run(launch + ["--device", "/dev/null"] + read).status == 1)
        #expect(try stage.run(launch + ["--device", "/dev/zero"] + read).status == 0)
    }

    @Test("what is no device cannot be shown as one")
    func noDevice() throws {
        let outcome = try stage.run(["launch", "--device", "/dev/shm", stage.probe, "exit", "0"])
        #expect(outcome.status == 125)
        #expect(outcome.output.contains("no character device"))
    }

    @Test("a temporary folder is there only when the plan has one")
    func temporaryFolder() throws {
        let launch = ["launch", "--policy", "permissive"]
        let write = [stage.probe, "write-file", "/tmp/x"]
        #expect(try stage.run(launch + write).status == 1)
        #expect(try stage.run(launch + ["--temporary", "65536"] + write).status == 0)
    }

    @Test("a bind whose source is missing refuses to start, and says which")
    func missingBind() throws {
        let outcome = try stage.run(["launch", "--bind", "/nonexistent/folder", stage.probe, "exit", "0"])
        #expect(outcome.status == 1)
        #expect(outcome.output.contains("open /nonexistent/folder: No such file or directory"))
    }

    @Test("a link below what the owner named shows nothing that lies elsewhere", arguments: ["full", "reduced"])
    func plantedLink(tier: String) throws {
        let files = FileManager.default
        let named = "\(stage.folder)/named"
        for name in ["named/inside", "elsewhere"] {
            try files.createDirectory(atPath: "\(stage.folder)/\(name)", withIntermediateDirectories: true)
            try Data(name.utf8).write(to: URL(fileURLWithPath: "\(stage.folder)/\(name)/file"))
            try stage.own("\(stage.folder)/\(name)")
        }
        try files.createSymbolicLink(atPath: "\(named)/planted", withDestinationPath: "\(stage.folder)/elsewhere")
        try files.createSymbolicLink(atPath: "\(named)/near", withDestinationPath: "inside")
        func read(_ name: String) throws -> Stage.Outcome {
            let launch = ["launch", "--tier", tier, "--policy", "permissive", "--bind", "\(named)//\(name)"]
            return try stage.run(launch + [stage.probe, "read-file", "\(named)/\(name)/file"])
        }
        #expect(try read("inside").output == "read named/inside\n")
        #expect(try read("near").output == "read named/inside\n", "one that stays within is followed")
        let planted = try read("planted")
        #expect(planted.status == 1)
        #expect(planted.output.contains("led out of \(named) by a symbolic link"))
        #expect(!planted.output.contains("read elsewhere"))
    }

    @Test("a launcher and a policy that others could change are not used, and the remedy is told")
    func untrustedParts() throws {
        let launch = ["launch", stage.probe, "exit", "0"]
        #expect(try stage.run(launch).status == 0)
        for part in [stage.launcherName, "Policies/strict.json", "Policies"] {
            let path = "\(stage.folder)/\(part)"
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: path)
            let outcome = try stage.run(launch)
            #expect(outcome.status == 1)
            #expect(outcome.output.contains("chmod go-w '\(path)'"), "\(outcome.output)")
            try stage.own(path)
        }
        #expect(try stage.run(launch).status == 0)
    }

    @Test("where namespaces are refused, tier full refuses to start, and tier reduced starts when asked for by name")
    func noNamespaces() throws {
        let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\""
        let within = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
        let full = try stage.run(["launch", stage.probe, "exit", "0"], within: within)
        #expect(full.status == 125)
        #expect(full.output.contains("user-namespace"))
        #expect(full.output.contains("ask for tier 'reduced'"))
        let reduced = try stage.run(["launch", "--tier", "reduced", stage.probe, "exit", "0"], within: within)
        #expect(reduced.status == 0, "\(reduced.output)")
    }

    @Test("the launcher refuses root", .enabled(if: Stage.isRoot, "needs root to try"))
    func root() throws {
        let launcher = try RunningProgram(["\(stage.folder)/\(stage.launcherName)"], in: stage.folder)
        let output = try launcher.readToEnd()
        #expect(launcher.waitForExit() == 125)
        #expect(output.contains("refuses to run as root"))
    }

    @Test("a policy that does not exist, and a program that nobody should run, are refused with the remedy")
    func refused() throws {
        let files = FileManager.default
        func refusal(_ name: String, _ options: [String] = []) throws -> String {
            let outcome = try stage.run(["launch"] + options + ["\(stage.folder)/\(name)", "exit", "0"])
            #expect(outcome.status == 1)
            return outcome.output
        }
        #expect(try refusal("sandbox-probe", ["--policy", "absent"]).contains("absent.json"))
        #expect(try refusal("absent").contains("No such file"))

        try files.createSymbolicLink(atPath: "\(stage.folder)/link", withDestinationPath: stage.probe)
        #expect(try refusal("link").contains("symbolic link"))

        try Data(contentsOf: URL(fileURLWithPath: stage.probe)).write(to: URL(fileURLWithPath: "\(stage.folder)/open"))
        try stage.own("\(stage.folder)/open")
        for (mode, remedy) in [
            (0o775, "chmod go-w"), (0o757, "chmod go-w"), (0o4755, "chmod ug-s"), (0o644, "chmod +x"),
        ] {
            try files.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(stage.folder)/open")
            #expect(try refusal("open").contains(remedy))
        }
        for (text, reason) in [("#!/bin/sh\n", "script"), ("text", "no ELF executable"), ("\u{7f}ELF", "another kind")]
        {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(stage.folder)/other"))
            try stage.own("\(stage.folder)/other")
            #expect(try refusal("other").contains(reason))
        }
        #expect(try refusal("sandbox-driver").contains("link it statically"))

        try files.setAttributes([.posixPermissions: 0o777], ofItemAtPath: stage.folder)
        #expect(try refusal("sandbox-probe").contains("replaceable by other users"))
    }
}
