import LaunchPlan
import Testing

@testable import SandboxAudit

@Suite struct LayerTests {
    @Test("every layer is described once")
    func everyLayer() {
        let described = LayerDescription.all.map(\.layer)
        #expect(described.reduce(SandboxLayers()) { $0.union($1) } == .all)
        #expect(described.count == SandboxLayers.all.names.count)
        #expect(LayerDescription.all.allSatisfy { $0.weight > 0 && !$0.stops.isEmpty && !$0.remedy.isEmpty })
    }

    @Test("exposure goes from 0, held by all, to 10, held by none, and never falls when a layer is taken away")
    func exposure() {
        #expect(LayerDescription.exposure(heldBy: .all) == 0)
        #expect(LayerDescription.exposure(heldBy: []) == 10)
        var held = SandboxLayers.all
        var last = 0.0
        for description in LayerDescription.all {
            held.subtract(description.layer)
            let exposure = LayerDescription.exposure(heldBy: held)
            #expect(exposure >= last)
            last = exposure
        }
        #expect(
            LayerDescription.exposure(heldBy: SandboxTier.full.layers)
                < LayerDescription.exposure(heldBy: SandboxTier.reduced.layers))
        #expect(LayerDescription.word(forExposure: 0.4) == "held")
        #expect(LayerDescription.word(forExposure: 10) == "open")
    }

    @Test("what /proc shows of a process is read as it stands there")
    func observation() {
        var held = LayerObservation()
        held.note(
            status: """
                Name:\tsandbox-probe
                CapInh:\t0000000000000000
                CapPrm:\t0000000000000000
                CapEff:\t0000000000000000
                CapAmb:\t0000000000000000
                NoNewPrivs:\t1
                Seccomp:\t2
                Speculation_Store_Bypass:\tthread force mitigated
                """)
        #expect(held.seen == [.noCapabilities, .noNewPrivileges, .seccomp, .speculationControls])
        #expect(held.contradicted == [])
        var open = LayerObservation()
        open.note(
            status: "CapEff:\t0000000000200000\nNoNewPrivs:\t0\nSeccomp:\t0\nSpeculation_Store_Bypass:\tvulnerable\n")
        #expect(open.contradicted == [.noCapabilities, .noNewPrivileges, .seccomp])
        var blind = LayerObservation()
        blind.note(status: "")
        #expect(blind == LayerObservation())
    }

    @Test("limits are compared with the plan's")
    func limits() {
        let table = """
            Limit                     Soft Limit           Hard Limit           Units
            Max open files            64                   64                   files
            """
        var observation = LayerObservation()
        observation.note(limits: table, plan: [ResourceLimit(.descriptors, 64)])
        #expect(observation.seen == .resourceLimits)
        observation = LayerObservation()
        observation.note(limits: table, plan: [ResourceLimit(.descriptors, 63)])
        #expect(observation.contradicted == .resourceLimits)
        observation = LayerObservation()
        observation.note(limits: "Max open files\n", plan: [ResourceLimit(.descriptors, 64)])
        #expect(observation == LayerObservation())
    }

    @Test("an act is judged by both its outcomes")
    func verdicts() {
        let probe = Probe(name: "act", group: "files", meaning: "")
        func verdict(_ outside: ProbeOutcome, _ inside: ProbeOutcome) -> ProbeResult.Verdict {
            ProbeResult(probe: probe, outside: outside, inside: inside).verdict
        }
        #expect(verdict(.done, .refused("EPERM")) == .stopped)
        #expect(verdict(.done, .ended(signal: 31)) == .stopped)
        #expect(verdict(.done, .timedOut) == .stopped)
        #expect(verdict(.done, .done) == .escaped)
        #expect(verdict(.refused("EPERM"), .done) == .escaped)
        #expect(verdict(.refused("EPERM"), .refused("EPERM")) == .provesNothing)
        #expect(verdict(.timedOut, .timedOut) == .provesNothing)
    }

    @Test("the probe's list is read line by line, and other lines are left out")
    func list() {
        let probes = Probe.list("one\tfiles\treads\nnonsense\ntwo\tmemory\ttakes\textra\nthree\tkernel\tcalls\n")
        #expect(probes.map(\.name) == ["one", "three"])
    }
}
