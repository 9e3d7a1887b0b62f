import Testing

@testable import SandboxAudit

@Suite struct HostFactsTests {
    /// A machine that has everything.
    private static var best: HostFacts {
        var facts = HostFacts()
        facts.kernelRelease = "6.12.9-amd64"
        facts.landlockVersion = 6
        facts.seccompActions = ["kill_process", "errno", "user_notif", "allow"]
        facts.userNamespacesMax = 100_000
        facts.yamaScope = 1
        facts.speculationControls = 2
        return facts
    }

    private func finding(_ name: String, _ change: (inout HostFacts) -> Void) -> HostFinding? {
        var facts = Self.best
        change(&facts)
        return facts.findings.first { $0.name == name }
    }

    @Test("a machine that has everything has nothing to remedy")
    func best() {
        #expect(Self.best.findings.allSatisfy { $0.state == .good && $0.remedy == nil })
        #expect(Self.best.namespaceRemedy == nil)
    }

    @Test("Ubuntu's AppArmor rule has the shipped profile for its remedy, and never the sysctl")
    func appArmor() throws {
        let found = try #require(
            finding("user-namespaces") {
                $0.appArmorRestrictsNamespaces = true
                $0.shippedAppArmorProfile = "/opt/hearth/share/hearth/apparmor-profile"
            })
        #expect(found.state == .bad && found.text.contains("AppArmor"))
        let remedy = try #require(found.remedy)
        #expect(remedy.contains("/opt/hearth/share/hearth/apparmor-profile /etc/apparmor.d/hearth-sandbox"))
        #expect(remedy.contains("apparmor_parser --replace"))
        #expect(!remedy.contains("sysctl") && !remedy.contains("apparmor_restrict"))
        let withoutProfile = finding("user-namespaces") { $0.appArmorRestrictsNamespaces = true }
        #expect(withoutProfile?.remedy?.contains("Scripts/install") == true)
        let loaded = finding("user-namespaces") {
            $0.appArmorRestrictsNamespaces = true
            $0.hasAppArmorProfile = true
        }
        #expect(loaded?.state == .good)
    }

    @Test("switches that forbid user namespaces are told, and are not to be flipped")
    func switches() {
        for change in [{ $0.userNamespacesMax = 0 }, { $0.unprivilegedNamespaces = false }]
            as [(inout HostFacts) -> Void]
        {
            let found = finding("user-namespaces", change)
            #expect(found?.state == .bad)
            #expect(found?.remedy?.contains("--tier reduced") == true)
            #expect(found?.remedy?.contains("sysctl") == false)
        }
        #expect(finding("user-namespaces") { $0.isInChroot = true }?.text.contains("chroot") == true)
    }

    @Test("old kernels are told for what they lack")
    func kernels() {
        #expect(finding("kernel") { $0.kernelRelease = "5.10.0-28-amd64" }?.state == .bad)
        let bookworm = finding("kernel") { $0.kernelRelease = "6.1.0-18-amd64" }
        #expect(bookworm?.state == .notice && bookworm?.text.contains("TCP") == true)
        #expect(finding("kernel") { $0.kernelRelease = "6.8.0-31-generic" }?.text.contains("TCP") == false)
        #expect(finding("kernel") { $0.kernelRelease = "odd" }?.state == .bad)
        #expect(finding("landlock") { $0.landlockVersion = 0 }?.state == .bad)
        #expect(finding("landlock") { $0.landlockVersion = 1 }?.text.contains("truncating files") == true)
        #expect(finding("landlock") { $0.landlockVersion = 5 }?.text.contains("abstract Unix sockets") == true)
        #expect(finding("seccomp") { $0.seccompActions = nil }?.state == .bad)
        #expect(finding("seccomp") { $0.seccompActions = ["errno", "allow"] }?.text.contains("user_notif") == true)
        #expect(finding("memory-files") { $0.memoryFilesNoExecution = 2 }?.state == .bad)
        #expect(finding("memory-files") { $0.memoryFilesNoExecution = 1 } == nil)
    }

    @Test("containers are known by the traces that their managers leave")
    func containers() {
        func kind(_ marks: [String] = [], _ systemd: String? = nil, _ cgroup: String? = nil) -> String? {
            HostFacts.container(marks: marks, systemd: systemd, cgroup: cgroup, mounts: nil)
        }
        #expect(kind() == nil)
        #expect(kind([], nil, "0::/user.slice/user-1000.slice\n") == nil)
        #expect(kind(["/.dockerenv"]) == "docker")
        #expect(kind(["/run/.containerenv"]) == "podman")
        #expect(kind([], "systemd-nspawn\n") == "systemd-nspawn")
        #expect(kind([], nil, "0::/kubepods/besteffort/pod1\n") == "kubernetes")
        #expect(kind([], nil, "4:memory:/lxc/one\n") == "lxc")
        let found = finding("surroundings") { $0.container = "docker" }
        #expect(found?.state == .notice && found?.remedy?.contains("no more rights") == true)
    }

    @Test("a root that is no mount is a chroot")
    func chroots() {
        let mounted = "23 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n24 23 0:5 / /proc rw - proc proc rw\n"
        #expect(HostFacts.hasRootMount(mounted))
        #expect(!HostFacts.hasRootMount("24 23 0:5 / /proc rw - proc proc rw\n"))
        #expect(!HostFacts.hasRootMount(""))
    }
}
