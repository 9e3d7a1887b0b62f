import LaunchPlan
import LinuxSystem
import SandboxPolicy
import StrictJSON
import Testing

struct LaunchPlannerTests {
    private let filter: [UInt8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f]

    private func plan(
        _ manifest: BackendManifest, _ owner: OwnerLimits, tier: SandboxTier = .full, weightBytes: UInt64 = 0
    ) throws -> LaunchPlan {
        try LaunchPlanner.plan(
            name: "echo", manifest: manifest, owner: owner, tier: tier, filter: filter, weightBytes: weightBytes)
    }

    private func limit(_ plan: LaunchPlan, _ resource: ResourceLimit.Resource) -> UInt64? {
        plan.limits.first { $0.resource == resource }?.value
    }

    @Test("a plan has every layer of its tier, and encodes")
    func layers() throws {
        for tier in SandboxTier.allCases {
            let plan = try plan(BackendManifest(executableName: "echo"), OwnerLimits(threads: 2), tier: tier)
            #expect(plan.layers == tier.layers)
            #expect(plan.arguments == ["echo"])
            _ = try plan.encoded()
        }
    }

    @Test("a manifest gets no more threads and memory than the owner allows")
    func clamped() throws {
        var manifest = BackendManifest(executableName: "echo")
        manifest.threads = 64
        manifest.memoryMebibytes = 1 << 24
        var owner = OwnerLimits(threads: 2)
        owner.memoryMebibytes = 100
        #expect(LaunchPlanner.threads(manifest, owner) == 2)
        #expect(LaunchPlanner.memoryBytes(manifest, owner) == 100 << 20)
        manifest.threads = 1
        manifest.memoryMebibytes = 10
        #expect(LaunchPlanner.threads(manifest, owner) == 1)
        #expect(LaunchPlanner.memoryBytes(manifest, owner) == 10 << 20)
    }

    @Test("weights count beside the memory, and sizes that overflow do not wrap to small ones by accident")
    func weights() throws {
        let manifest = BackendManifest(executableName: "echo")
        let without = try plan(manifest, OwnerLimits(threads: 2))
        let with = try plan(manifest, OwnerLimits(threads: 2), weightBytes: 5 << 30)
        #expect(limit(with, .addressSpaceBytes)! - limit(without, .addressSpaceBytes)! == 5 << 30)
        #expect(limit(with, .dataBytes) == limit(without, .dataBytes))
        #expect(limit(try plan(manifest, OwnerLimits(threads: 2), weightBytes: .max), .addressSpaceBytes) == .max)
    }

    @Test("processes are limited only where they are counted per sandbox")
    func processes() throws {
        let manifest = BackendManifest(executableName: "echo")
        #expect(limit(try plan(manifest, OwnerLimits(threads: 2)), .processes) != nil)
        #expect(limit(try plan(manifest, OwnerLimits(threads: 2), tier: .reduced), .processes) == nil)
    }

    @Test("a path is bound only where the owner allows it")
    func paths() throws {
        var manifest = BackendManifest(executableName: "echo")
        manifest.readOnlyPaths = ["/usr/share/zoneinfo/Europe"]
        var owner = OwnerLimits(threads: 1)
        #expect(throws: SandboxPolicyError.self) { try plan(manifest, owner) }
        owner.readablePaths = ["/usr/share/zone"]
        #expect(throws: SandboxPolicyError.self) { try plan(manifest, owner) }
        owner.readablePaths = ["/usr/share/zoneinfo"]
        #expect(try plan(manifest, owner).binds.map(\.source) == ["/usr/share/zoneinfo/Europe"])
        manifest.readOnlyPaths = ["/usr/share/zoneinfo/../../../etc"]
        #expect(throws: SandboxPolicyError.self) { try plan(manifest, owner) }
    }

    @Test("a temporary folder is as large as asked, within the owner's memory, and files as large as it")
    func temporaryFolder() throws {
        let owner = OwnerLimits(threads: 1)
        var manifest = BackendManifest(executableName: "echo")
        #expect(try plan(manifest, owner).temporaryBytes == 0)
        #expect(try plan(manifest, owner).limits.contains(ResourceLimit(.fileBytes, 0)))
        manifest.temporaryMebibytes = 16
        #expect(try plan(manifest, owner).temporaryBytes == 16 << 20)
        #expect(try plan(manifest, owner).limits.contains(ResourceLimit(.fileBytes, 16 << 20)))
        manifest.temporaryMebibytes = 1 << 24
        let most = OwnerLimits(threads: 1).memoryMebibytes << 20
        #expect(try plan(manifest, owner).temporaryBytes == most)
    }

    @Test("a device is shown only where the owner allows it, and arguments follow the name")
    func devices() throws {
        var manifest = BackendManifest(executableName: "echo")
        manifest.devices = ["/dev/dri/card0"]
        var owner = OwnerLimits(threads: 1)
        #expect(throws: SandboxPolicyError.self) { try plan(manifest, OwnerLimits(threads: 1)) }
        owner.devices = ["/dev/dri/card0"]
        manifest.arguments = ["main.py", "-v"]
        let allowed = try plan(manifest, owner)
        #expect(allowed.devices == ["/dev/dri/card0"])
        #expect(allowed.arguments == ["echo", "main.py", "-v"])
    }

    @Test("an interpreter is used only where the owner allows it, and is started by its path")
    func interpreter() throws {
        var manifest = BackendManifest(executableName: "echo")
        manifest.interpreter = "/usr/bin/python3"
        manifest.arguments = ["-"]
        var owner = OwnerLimits(threads: 1)
        let error = #expect(throws: SandboxPolicyError.self) { try plan(manifest, owner) }
        #expect(error?.description.contains("asks for the interpreter /usr/bin/python3, which the owner does") == true)
        owner.readablePaths = ["/usr"]
        #expect(try plan(manifest, owner).arguments == ["/usr/bin/python3", "-"])
    }

    @Test("a policy is used only where the owner allows it")
    func policies() throws {
        var owner = OwnerLimits(threads: 1)
        owner.policies = ["inference-cpu"]
        #expect(throws: SandboxPolicyError.self) { try plan(BackendManifest(executableName: "echo"), owner) }
        owner.policies = ["strict"]
        _ = try plan(BackendManifest(executableName: "echo"), owner)
    }

    @Test("weights lie beside the manifest, or where the owner allows")
    func weightsPlace() throws {
        var owner = OwnerLimits(threads: 1)
        func place(_ file: String) throws -> PlaceWithin {
            try LaunchPlanner.weightsPlace(file, folder: "/b", owner: owner)
        }
        #expect(try place("m/x.gguf") == PlaceWithin(root: "/b", within: "m/x.gguf"))
        for file in ["../x.gguf", "/home/u/.ssh/id", "a/../../x", ""] {
            #expect(throws: SandboxPolicyError.self) { try place(file) }
        }
        owner.readablePaths = ["/srv/models"]
        #expect(try place("/srv/models/x") == PlaceWithin(root: "/srv/models", within: "x"))
        #expect(throws: SandboxPolicyError.self) { try place("/srv/models2/x") }
    }

    @Test("what is read lies within the outermost path that the owner names, and the plan says where that ends")
    func place() throws {
        var owner = OwnerLimits(threads: 1)
        owner.readablePaths = ["/srv/data/inner", "/srv/data"]
        var manifest = BackendManifest(executableName: "echo")
        manifest.readOnlyPaths = ["/srv/data/inner/x", "/usr"]
        #expect(throws: SandboxPolicyError.self) { try plan(manifest, owner) }
        owner.readablePaths.append("/usr")
        let binds = try plan(manifest, owner).binds
        #expect(binds.map(\.root) == ["/srv/data", "/usr"])
        #expect(binds.map(\.within) == ["inner/x", ""])
        #expect(binds.map(\.target) == ["/srv/data/inner/x", "/usr"])
    }
}
