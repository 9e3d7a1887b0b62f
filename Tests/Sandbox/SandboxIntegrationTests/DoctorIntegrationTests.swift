import Foundation
import Testing

/// `hearth doctor`, run as a person runs it.
@Suite(.serialized) struct DoctorIntegrationTests {
    private let stage: Stage

    init() throws {
        stage = try Stage()
        try stage.addHearth()
    }

    /// Some of the keys that `--json` promises.
    private struct Report: Decodable {
        struct Layer: Decodable {
            let name: String
            let state: String
            let isSeen: Bool
            let exposure: Double
            let remedy: String?
        }
        struct Finding: Decodable {
            let name: String
            let state: String
            let remedy: String?
        }
        struct Probe: Decodable {
            let name: String
            let group: String
            let outside: String
            let verdict: String
            let isDeclared: Bool
        }
        struct Risk: Decodable {
            let name: String
            let remedy: String
        }
        let tier: String
        let obstacle: String?
        let exposure: Double
        let exposureWord: String
        let layers: [Layer]
        let findings: [Finding]
        let probes: [Probe]
        let residualRisks: [Risk]
        let exitStatus: Int32

        /// Nothing that is advised may be what an attacker would advise.
        var weakeningAdvice: [String] {
            let remedies = layers.compactMap(\.remedy) + findings.compactMap(\.remedy) + residualRisks.map(\.remedy)
            let weakening = [
                "sysctl -w", "userns=0", "userns_clone=1", "unconfined", "--privileged", "setenforce", "apparmor=0",
                "chmod +s", "sudo hearth",
            ]
            return remedies.filter { remedy in weakening.contains { remedy.contains($0) } }
        }
    }

    /// Without namespaces, as where a machine refuses them to ordinary users.
    private static let noNamespaces = [
        "unshare", "--user", "--map-root-user", "sh", "-c",
        "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"", "sh",
    ]

    private func examine(_ options: [String] = [], within: [String] = []) throws -> Report {
        let doctor = try stage.program("hearth", ["doctor", "--json"] + options, within: within)
        let output = try doctor.readToEnd()
        let status = doctor.waitForExit()
        let report = try JSONDecoder().decode(Report.self, from: Data(output.utf8))
        #expect(report.exitStatus == status)
        #expect(report.weakeningAdvice == [])
        return report
    }

    @Test("without configuration, agent or root it finds tier full to hold")
    func full() throws {
        let report = try examine()
        #expect(report.exitStatus == 0 && report.tier == "full" && report.obstacle == nil)
        let dependent: Set = ["cgroup-limits", "speculation-controls"]
        for layer in report.layers where !dependent.contains(layer.name) {
            #expect(layer.state == "holds" && layer.remedy == nil && layer.exposure == 0, "\(layer.name)")
        }
        // What /proc shows of a process in the sandbox; the kernel has no such trace of the others.
        let unseen: Set = ["landlock", "exec-once", "no-nested-namespaces"]
        #expect(report.layers.allSatisfy { $0.isSeen || unseen.union(dependent).contains($0.name) })
        #expect(report.probes.count >= 120 && report.probes.count { $0.outside == "done" } >= 100)
        #expect(report.probes.filter { $0.verdict == "escaped" }.isEmpty)
        #expect(report.exposure < 1 && report.exposureWord == "held")
        let isLimitedByGroup = report.layers.contains { $0.name == "cgroup-limits" && $0.state == "holds" }
        #expect(report.residualRisks.contains { $0.name == "limits-without-cgroup" } == !isLimitedByGroup)
        for finding in report.findings where finding.state != "good" { #expect(finding.remedy != nil) }
    }

    @Test("where namespaces are refused it finds tier reduced, says why, and exits with 1")
    func reduced() throws {
        let report = try examine(within: Self.noNamespaces)
        #expect(report.exitStatus == 1 && report.tier == "reduced")
        #expect(report.obstacle?.contains("user-namespace") == true)
        let finding = try #require(report.findings.first { $0.name == "user-namespaces" })
        #expect(finding.state == "bad" && finding.remedy?.contains("--tier reduced") == true)
        let layer = try #require(report.layers.first { $0.name == "network-namespace" })
        #expect(layer.state == "missing" && layer.exposure > 0 && layer.remedy == finding.remedy)
        #expect(report.probes.contains { $0.verdict == "escaped" })
        #expect(report.probes.allSatisfy { $0.verdict != "escaped" || $0.isDeclared })
        #expect(report.exposure > 1)
    }

    @Test("a tier that is insisted on and cannot be had is no tier")
    func refuse() throws {
        let report = try examine(["--tier", "full"], within: Self.noNamespaces)
        #expect(report.exitStatus == 2 && report.tier == "refuse" && report.probes.isEmpty)
        #expect(report.exposure == 10)
        #expect(report.layers.allSatisfy { $0.state == "missing" && $0.remedy != nil })
    }

    /// The folders that doctors of this stage have made.
    private func folders() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(stage.folder)/writable")
    }

    /// Processes that were told of a path in the doctor's folder: the bystander, and the probes outside.
    private func probes() -> [Int32] { stage.processes(token: "\(stage.folder)/writable/") }

    @Test(
        "a signal ends it in the middle, as signals end programs, and nothing of it remains",
        arguments: [SIGINT, SIGTERM, SIGHUP])
    func signalled(signal: Int32) throws {
        let doctor = try stage.program(
            "hearth", ["doctor", "--json"], within: ["env", "TMPDIR=\(stage.folder)/writable"])
        while probes().isEmpty { try #require(!doctor.hasEnded) }
        #expect(try folders().count == 1)
        doctor.send(signal: signal)
        let output = try doctor.readToEnd()
        #expect(doctor.waitForExit() == 128 + signal)
        #expect(output == "")
        #expect(try folders() == [])
        #expect(probes() == [])
        #expect(stage.processes(token: stage.folder) == [])
    }

    @Test("a signal that the process was told to ignore does not end it")
    func ignored() throws {
        let doctor = try stage.program(
            "hearth", ["doctor", "--json"],
            within: ["env", "TMPDIR=\(stage.folder)/writable", "sh", "-c", "trap '' HUP; exec \"$@\"", "sh"])
        while probes().isEmpty { try #require(!doctor.hasEnded) }
        doctor.send(signal: SIGHUP)
        let output = try doctor.readToEnd()
        #expect(doctor.waitForExit() == 0)
        #expect(output.hasSuffix("}\n"))
    }

    /// As root where the tests are root: then it probes as somebody else.
    @Test("for a person it prints who it probed as, a line a layer, the probes by group, and the exposure")
    func text() throws {
        let doctor = try stage.program("hearth", ["doctor"], asRoot: true)
        let output = try doctor.readToEnd()
        #expect(doctor.waitForExit() == 0)
        let lines = output.split(separator: "\n").map(String.init)
        #expect(lines.first?.contains("probed as user root") == false)
        if Stage.isRoot {
            #expect(["hearth", "nobody"].contains { lines[0].contains("probed as user \($0),") })
        }
        #expect(lines.contains { $0.hasPrefix("  ✓ seccomp ") })
        #expect(lines.contains { $0.hasPrefix("  ✓ network ") && $0.hasSuffix(" 0") })
        #expect(lines.contains { $0.hasPrefix("Tier full. Exposure 0.") })
        #expect(lines.allSatisfy { !$0.hasSuffix(" ") })
    }
}
