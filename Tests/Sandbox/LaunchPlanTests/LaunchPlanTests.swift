import LaunchPlan
import Testing

struct LaunchPlanTests {
    /// A filter of one instruction: return SECCOMP_RET_ALLOW.
    static let allowAll: [UInt8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f]

    static func plan() -> LaunchPlan {
        var plan = LaunchPlan(arguments: ["echo", "--ünïcode"], tier: .full, filter: allowAll)
        plan.environment = ["A=1", "B="]
        plan.binds = [
            ReadOnlyBind(source: "/share/zoneinfo", root: "/usr/share", within: "zoneinfo", target: "/zones"),
            ReadOnlyBind(source: "/opt/python", target: "/opt/python", allowsExecution: true),
        ]
        plan.devices = ["/dev/dri/card0"]
        plan.links = [RootLink(name: "lib64", target: "usr/lib64")]
        plan.temporaryBytes = 1 << 40
        plan.limits = [ResourceLimit(.coreBytes, 1), ResourceLimit(.addressSpaceBytes, .max)]
        plan.userID = 65533
        plan.handedOnCount = 3
        plan.tellingArguments = [TellingArguments(call: 41, mask: 1), TellingArguments(call: 9, mask: 0b1100)]
        plan.layers.insert(.controlGroup)
        return plan
    }

    @Test("a plan is the same after it was encoded and read")
    func roundTrip() throws {
        let plan = LaunchPlanTests.plan()
        #expect(try LaunchPlan(decoding: plan.encoded()) == plan)
        let reduced = LaunchPlan(arguments: ["x"], tier: .reduced, filter: LaunchPlanTests.allowAll)
        #expect(try LaunchPlan(decoding: reduced.encoded()) == reduced)
    }

    @Test("a plan that is cut short anywhere is refused")
    func cutShort() throws {
        let bytes = try LaunchPlanTests.plan().encoded()
        for count in 0..<bytes.count {
            #expect(throws: RecordError.self) { try LaunchPlan(decoding: Array(bytes[..<count])) }
        }
        #expect(throws: RecordError("bytes follow the plan")) { try LaunchPlan(decoding: bytes + [0]) }
    }

    @Test("a plan with any byte changed is read or refused, and never more than that")
    func changedBytes() throws {
        let bytes = try LaunchPlanTests.plan().encoded()
        for position in bytes.indices {
            for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff] {
                var changed = bytes
                changed[position] = value
                // A plan that is still read keeps the promises of every plan.
                if let read = try? LaunchPlan(decoding: changed) { try read.validate() }
            }
        }
    }

    @Test("another version of the format is refused with the remedy")
    func otherVersion() throws {
        var bytes = try LaunchPlanTests.plan().encoded()
        bytes[0] ^= 1
        let error = #expect(throws: RecordError.self) { try LaunchPlan(decoding: bytes) }
        #expect(error?.description.contains("install hearth and hearth-sandbox together") == true)
    }

    @Test(
        "a plan that breaks a promise cannot be encoded",
        arguments: [
            { $0.arguments = [] },
            { $0.arguments = ["a\0b"] },
            { $0.arguments = [String(repeating: "x", count: 5000)] },
            { $0.arguments = Array(repeating: "x", count: 300) },
            { $0.layers.remove(.seccomp) },
            { $0.layers.remove(.landlock) },
            { $0.layers.remove(.execOnce) },
            { $0.devices = ["/etc/passwd"] },
            { $0.devices = ["/dev"] },
            { $0.devices = ["/dev/../etc/passwd"] },
            { $0.links = [RootLink(name: "a/b", target: "usr")] },
            { $0.links = [RootLink(name: "lib", target: "../etc")] },
            { $0.links = [RootLink(name: "lib", target: "/etc/")] },
            { $0.links = [RootLink(name: "opt", target: "usr/opt")] },
            { $0.tellingArguments = Array(repeating: TellingArguments(call: 1, mask: 1), count: 257) },
            { $0.filter = [] },
            { $0.filter = [1, 2, 3] },
            { $0.filter = [UInt8](repeating: 0, count: 4097 * 8) },
            { $0.userID = 0 },
            { $0.groupID = 0 },
            { $0.userID = .max },
            { $0.handedOnCount = 129 },
            { $0.binds = [ReadOnlyBind(source: "relative", target: "/x")] },
            { $0.binds = [ReadOnlyBind(source: "/", target: "/x")] },
            { $0.binds = [ReadOnlyBind(source: "/x", root: "/x/..", target: "/x")] },
            { $0.binds = [ReadOnlyBind(source: "/x/y", root: "/x", within: "../y", target: "/x")] },
            { $0.binds = [ReadOnlyBind(source: "/x/y", root: "/x", within: "/y", target: "/x")] },
            { $0.binds = [ReadOnlyBind(source: "/x", target: "/a/../b")] },
            { $0.binds = [ReadOnlyBind(source: "/x", target: "/a//b")] },
            { $0.binds = [ReadOnlyBind(source: "/x", target: "/a/")] },
            { $0.binds = [ReadOnlyBind(source: "/x", target: "/a"), ReadOnlyBind(source: "/y", target: "/a/b")] },
            { $0.binds = [ReadOnlyBind(source: "/x", target: "/tmp/x")] },
        ] as [@Sendable (inout LaunchPlan) -> Void])
    func brokenPromise(change: @Sendable (inout LaunchPlan) -> Void) {
        var plan = LaunchPlanTests.plan()
        change(&plan)
        #expect(throws: RecordError.self) { try plan.encoded() }
    }

    @Test("tier reduced promises no root of its own")
    func reducedTier() {
        var plan = LaunchPlan(arguments: ["x"], tier: .reduced, filter: LaunchPlanTests.allowAll)
        plan.temporaryBytes = 1
        #expect(throws: RecordError.self) { try plan.encoded() }
        plan.temporaryBytes = 0
        plan.binds = [ReadOnlyBind(source: "/a", target: "/b")]
        #expect(throws: RecordError.self) { try plan.encoded() }
    }

    @Test("every layer has a name of its own, and tier full has all of them")
    func layerNames() {
        let names = SandboxLayers.all.names
        #expect(names.count == 20)
        #expect(Set(names).count == names.count)
        #expect(SandboxTier.full.layers.union(.hostDependent) == .all)
        #expect(SandboxTier.reduced.layers.contains([.seccomp, .landlock, .noNewPrivileges, .lifeline]))
        #expect(SandboxTier.reduced.layers.isDisjoint(with: .namespaces))
    }

    @Test("a plan with fewer layers is read only by whoever asks for that")
    func fewerLayers() throws {
        var plan = LaunchPlanTests.plan()
        plan.layers = [.seccomp]
        let bytes = try plan.encoded(anyLayers: true)
        #expect(try LaunchPlan(decoding: bytes, anyLayers: true) == plan)
        #expect(throws: RecordError.self) { try LaunchPlan(decoding: bytes) }
    }
}
