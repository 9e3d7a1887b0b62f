import LaunchPlan
import LinuxSystem
import Testing

@testable import LaunchSequence

@Suite("KeeperState")
struct KeeperStateTests {
    private let use = ResourceUse(processorMicroseconds: 5, memoryBytes: 6)
    private let failure = KeeperReport.failed(reason: "fork: none", isTransient: true)
    private let freeze = KeeperCommand.freeze.encoded()
    private let thaw = KeeperCommand.thaw.encoded()

    /// One in each phase.
    private var launching: KeeperState { KeeperState() }
    private var failed: KeeperState { after(launching) { _ = $0.couldNotExecute(failure) } }
    private var running: KeeperState { after(launching) { _ = $0.executed() } }
    private var freezing: KeeperState { after(running) { _ = $0.heard(freeze) } }
    private var frozen: KeeperState { after(freezing) { _ = $0.stopped() } }

    private func after(_ state: KeeperState, _ event: (inout KeeperState) -> Void) -> KeeperState {
        var copy = state
        event(&copy)
        return copy
    }

    private func actions(
        _ state: KeeperState, _ event: (inout KeeperState) -> [KeeperState.Action]
    ) -> [KeeperState.Action] {
        var copy = state
        return event(&copy)
    }

    @Test("the phases are what these tests take them for")
    func phases() {
        #expect(
            [launching, failed, running, freezing, frozen].map(\.phase)
                == [.launching, .failed, .running, .freezing, .frozen])
    }

    @Test("the exec is told once, and one that failed is not a start")
    func executed() {
        #expect(actions(launching) { $0.executed() } == [.say(.started)])
        for state in [failed, running, freezing, frozen] { #expect(actions(state) { $0.executed() } == []) }
        #expect(actions(launching) { $0.couldNotExecute(failure) } == [.say(failure)])
        for state in [failed, running, freezing, frozen] {
            #expect(actions(state) { $0.couldNotExecute(failure) } == [])
            #expect(after(state) { _ = $0.couldNotExecute(failure) }.phase == state.phase)
        }
        #expect([launching, failed, running, freezing, frozen].map(\.hasStarted) == [false, false, true, true, true])
    }

    @Test("the agent is heard when nothing that it asked is under way, and not before the backend runs")
    func hearing() {
        let hears = [launching, failed, running, freezing, frozen].map(\.hearsCommands)
        #expect(hears == [false, false, true, false, true])
    }

    @Test("to freeze and to thaw are answered once they are so, whatever was so before")
    func commands() {
        #expect(actions(running) { $0.heard(freeze) } == [.stop])
        #expect(actions(freezing) { $0.stopped() } == [.say(.frozen)])
        #expect(actions(frozen) { $0.heard(freeze) } == [.say(.frozen)])
        #expect(actions(frozen) { $0.heard(thaw) } == [.resume, .say(.thawed)])
        #expect(after(frozen) { _ = $0.heard(thaw) }.phase == .running)
        #expect(actions(running) { $0.heard(thaw) } == [.say(.thawed)])
        for state in [launching, failed, freezing] {
            #expect(actions(state) { $0.heard(freeze) } == [])
            #expect(actions(state) { $0.heard(thaw) } == [])
        }
    }

    @Test("what no agent asks for ends the backend, in every phase")
    func garbage() {
        for state in [launching, failed, running, freezing, frozen] {
            for datagram: [UInt8] in [[], [0], [3], [1, 1], [UInt8](repeating: 1, count: 4097)] {
                let actions = actions(state) { $0.heard(datagram) }
                guard case .refuse(let why) = actions.first, actions.count == 1 else {
                    #expect(Bool(false), "\(datagram) was taken in \(state.phase)")
                    continue
                }
                #expect(why.contains("in \(datagram.count) bytes"))
            }
        }
    }

    @Test("one that is woken by somebody else is stopped again, and nobody is told twice")
    func woken() {
        #expect(actions(frozen) { $0.continued() } == [.stop])
        #expect(actions(freezing) { $0.continued() } == [.stop])
        let again = after(frozen) { _ = $0.continued() }
        #expect(again.phase == .frozen)
        #expect(actions(again) { $0.stopped() } == [])
        #expect(actions(again) { $0.heard(thaw) } == [.resume, .say(.thawed)])
        for state in [launching, failed, running] {
            #expect(actions(state) { $0.continued() } == [])
            #expect(actions(state) { $0.stopped() } == [])
        }
    }

    @Test("one that stopped itself is frozen at once, and not only once it stops, which it does not do again")
    func stoppedItself() {
        let stopped = after(running) { _ = $0.stopped() }
        #expect(actions(stopped) { $0.heard(freeze) } == [.stop, .say(.frozen)])
        #expect(after(stopped) { _ = $0.heard(freeze) }.phase == .frozen)
        let continued = after(stopped) { _ = $0.continued() }
        #expect(actions(continued) { $0.heard(freeze) } == [.stop])
        // That it was stopped before it was thawed does not count.
        let thawed = after(frozen) { _ = $0.heard(thaw) }
        #expect(actions(thawed) { $0.heard(freeze) } == [.stop])
    }

    @Test("its end is told in every phase, but by who could not execute, which has said why")
    func ends() {
        for status in [ExitStatus.exited(0), .exited(125), .signalled(9)] {
            for state in [launching, running, freezing, frozen] {
                #expect(state.ended(status, use) == [.say(.ended(status, use))])
            }
            #expect(failed.ended(status, use) == [])
        }
    }
}
