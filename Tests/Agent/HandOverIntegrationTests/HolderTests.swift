import EventLoop
import Glibc
import HandOver
import LaunchPlan
import LinuxSystem
import Logging
import Polling
import TestPlaces
import Testing

/// A process that is an agent with a holder, until it is killed.
private final class DoomedAgent {
    let folder: TemporaryFolder
    let process: ProcessHandle
    private let socket: ParcelSocket

    init(seconds: UInt32, in folder: TemporaryFolder = TemporaryFolder()) throws {
        self.folder = folder
        let (here, there) = try ParcelSocket.pair()
        let nothing = try Descriptor.open("/dev/null", O_RDWR)
        let processID = try ProcessSpawn.spawn(
            Built.path("doomed"),
            arguments: ["doomed", "agent", folder.path, "\(seconds)", Built.path("hearth-holder")], environment: [],
            descriptors: [nothing.raw, nothing.raw, STDERR_FILENO, there.raw])
        process = try ProcessHandle(child: processID)
        socket = here
    }

    deinit { process.kill() }

    /// Has it do something, and returns the process id of its holder then.
    @discardableResult
    func ask(_ parcel: Parcel) throws -> CInt {
        try socket.send(parcel, withinMilliseconds: 60_000)
        return CInt(try #require(try socket.receive(withinMilliseconds: 60_000)).key)
    }

    /// SIGKILL, as by a crash.
    func die() {
        process.kill()
        _ = process.waitForExit()
    }

    /// What its holder gives to the next agent, and keeps until it is told to let go.
    func left() async -> LeftParcels? {
        await LeftParcels.find(state: folder.path, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// What its holder gives to the next agent, and has let go of.
    func takeBack() async -> [Parcel]? {
        let left = await left()
        await left?.letGo()
        return left?.parcels
    }

    var path: String { folder.file(Holder.socketName) }
}

/// The other ends of what a backend's parcel has: its socket, and that of its keeper.
private struct BackendEnds: ~Copyable {
    let socket: Descriptor
    let keeper: Descriptor
    let parcel: Parcel

    init(key: UInt64, _ bytes: [UInt8] = [1, 2, 3]) throws {
        let socket = try Socket.datagramPair().take { [$0.release(), $1.release()] }
        let keeper = try Socket.datagramPair().take { [$0.release(), $1.release()] }
        let process = try Descriptor.memoryFile("process").release()
        let log = try Descriptor.memoryFile("log").release()
        self.socket = Descriptor(owning: socket[0])
        self.keeper = Descriptor(owning: keeper[0])
        parcel = Parcel(.backend, key: key, bytes, owning: [process, socket[1], keeper[1], log])
    }

    /// The end of the keeper alone.
    consuming func keeperAlone() throws -> Descriptor { try keeper.duplicate() }
}

/// The next datagram that a keeper gets; waits for one.
private func heard(by keeper: borrowing Descriptor) throws -> Datagram {
    while true {
        let next = try Socket.receiveDatagram(keeper.raw, max: 16)
        if next != .nothing { return next }
        try #require(!Poll.wait(keeper.raw, for: .readable, nanoseconds: 60_000_000_000).isEmpty)
    }
}

private func isRunning(_ processID: CInt) -> Bool { kill(processID, 0) == 0 }

@Suite struct HolderTests {
    private static let freeze = Datagram.received(KeeperCommand.freeze.encoded())

    @Test func theNextAgentGetsWhatOneThatWasKilledHad() async throws {
        let agent = try DoomedAgent(seconds: 600)
        let ends = try BackendEnds(key: 1)
        // Several long ones, of which the socket has room for a few at a time.
        let turns = (2..<100).map { key in Parcel(.turn, key: UInt64(key), [UInt8](repeating: 7, count: key * 400)) }
        var holder = try agent.ask(ends.parcel)
        for turn in turns { holder = try agent.ask(turn) }
        try agent.ask(Parcel(.forget, key: 50))
        #expect(await agent.takeBack() == nil, "the agent lives")
        agent.die()

        let parcels = try #require(await agent.takeBack())
        #expect(parcels.map(\.key) == [1] + turns.map(\.key).filter { $0 != 50 })
        #expect(parcels.dropFirst().map(\.bytes) == turns.filter { $0.key != 50 }.map(\.bytes))
        #expect(parcels[0].kind == .backend)
        #expect(parcels[0].bytes == [1, 2, 3])
        #expect(parcels[0].descriptorCount == 4)
        #expect(try await eventually { !isRunning(holder) })
        #expect(await agent.takeBack() == nil, "it was taken")
        #expect(access(agent.path, F_OK) != 0, "what was left behind is removed")

        // The backend was frozen once, and its conversations go on with the next agent's ends.
        let keeper = try ends.keeper.duplicate()
        #expect(try heard(by: keeper) == Self.freeze)
        parcels[0].withDescriptors { descriptors in
            #expect((try? Socket.sendDatagram(descriptors[2], [9], waits: true)) == true)
        }
        #expect(try heard(by: keeper) == .received([9]))
    }

    @Test func afterTheTimeNothingIsLeft() async throws {
        let agent = try DoomedAgent(seconds: 1)
        let ends = try BackendEnds(key: 1)
        let holder = try agent.ask(ends.parcel)
        let keeper = try ends.keeperAlone()
        agent.die()
        #expect(try heard(by: keeper) == Self.freeze)
        // Its ends are closed, which keepers take for the agent's death.
        #expect(try heard(by: keeper) == .ended)
        #expect(try await eventually { !isRunning(holder) })
        #expect(await agent.takeBack() == nil)
    }

    @Test func nothingIsKeptWhereTheOwnerWantsNothingKept() async throws {
        let agent = try DoomedAgent(seconds: 0)
        let ends = try BackendEnds(key: 1)
        let holder = try agent.ask(ends.parcel)
        let keeper = try ends.keeperAlone()
        agent.die()
        #expect(try heard(by: keeper) == .ended)
        #expect(try await eventually { !isRunning(holder) })
    }

    @Test func anAgentThatEndsInOrderLeavesNothing() async throws {
        let agent = try DoomedAgent(seconds: 600)
        let ends = try BackendEnds(key: 1)
        let holder = try agent.ask(ends.parcel)
        let keeper = try ends.keeperAlone()
        #expect(try agent.ask(Parcel(.farewell)) == 0)
        #expect(agent.process.waitForExit() == .exited(0))
        #expect(!isRunning(holder), "the agent waits for its end")
        #expect(access(agent.path, F_OK) != 0)
        #expect(try heard(by: keeper) == .ended)
    }

    @Test func anAgentThatDiesBeforeItHasTakenEverythingLeavesItToTheNext() async throws {
        let agent = try DoomedAgent(seconds: 600)
        for key in UInt64(1)...40 {
            try agent.ask(Parcel(.turn, key: key, [UInt8](repeating: 1, count: 10_000)))
        }
        agent.die()
        for count in [0, 1, 5, 42] {
            let next = try ParcelSocket.connect(toPath: agent.path)
            try next.send(Parcel(.hello, HolderHello(seconds: 0).bytes), withinMilliseconds: 60_000)
            for _ in 0..<count { #expect(try next.receive(withinMilliseconds: 60_000) != nil) }
        }
        #expect(await agent.takeBack()?.map(\.key) == Array(1...40))
    }

    @Test func untilItSaysThatItHasItTheHolderKeepsItForTheNext() async throws {
        let agent = try DoomedAgent(seconds: 600)
        let holder = try agent.ask(Parcel(.turn, key: 1))
        agent.die()
        for _ in 0..<3 {
            let left = try #require(await agent.left())
            #expect(left.parcels.map(\.key) == [1])
            #expect(isRunning(holder))
        }
        #expect(await agent.takeBack()?.map(\.key) == [1])
        #expect(try await eventually { !isRunning(holder) })
    }

    /// How far an agent comes that dies, too, while it takes what the one before it has left.
    enum Progress: CaseIterable { case gaveItToItsHolder, itsHolderIsInForce, theOtherLetGo }

    @Test(arguments: Progress.allCases)
    func anAgentThatDiesWhileItTakesWhatWasLeftLosesNothing(progress: Progress) async throws {
        let first = try DoomedAgent(seconds: 600)
        let ends = try BackendEnds(key: 1)
        let turns = (2..<40).map { Parcel(.turn, key: $0, [UInt8](repeating: 7, count: Int($0) * 400)) }
        let firstHolder = try first.ask(ends.parcel)
        for turn in turns { try first.ask(turn) }
        first.die()

        let second = try DoomedAgent(seconds: 600, in: first.folder)
        // It has nothing more than the turn of its own.
        let secondHolder = try second.ask(Parcel(.turn, key: 99))
        if progress != .gaveItToItsHolder { try second.ask(Parcel(.end)) }
        if progress == .theOtherLetGo { try second.ask(Parcel(.given)) }
        second.die()

        let parcels = try #require(await second.takeBack())
        let isInForce = progress != .gaveItToItsHolder
        #expect(parcels.map(\.key) == [1] + turns.map(\.key) + (isInForce ? [99] : []))
        #expect(parcels[1..<39].map(\.bytes) == turns.map(\.bytes))
        #expect(await second.takeBack() == nil, "it was taken")
        #expect(try await eventually { !isRunning(secondHolder) })
        // Of two that keep a backend only the one that is found has it; the other one ends with its time, or at once.
        #expect(progress == .itsHolderIsInForce || !isRunning(firstHolder))
        if isRunning(firstHolder) { kill(firstHolder, SIGKILL) }

        // Each holder that was in force when its agent died has frozen it, once.
        let keeper = try ends.keeper.duplicate()
        for _ in 0..<(isInForce ? 2 : 1) { #expect(try heard(by: keeper) == Self.freeze) }
        #expect(try Socket.receiveDatagram(keeper.raw, max: 16) == .nothing)
    }

    @Test func aHolderThatEndsIsStartedAgainAndToldEverything() async throws {
        let agent = try DoomedAgent(seconds: 600)
        let ends = try BackendEnds(key: 7)
        let first = try agent.ask(ends.parcel)
        let second = try agent.ask(Parcel(.relay))
        #expect(first != second)
        try agent.ask(Parcel(.turn, key: 8))
        agent.die()
        let keeper = try ends.keeper.duplicate()
        #expect(try heard(by: keeper) == Self.freeze)
        #expect(await agent.takeBack()?.map(\.key) == [7, 8])
    }

    @Test func aHolderHasASessionOfItsOwnAndGivesUpItsRights() async throws {
        let agent = try DoomedAgent(seconds: 600)
        let holder = try agent.ask(Parcel(.turn, key: 1))
        #expect(getsid(holder) == holder)
        let rights = ["NoNewPrivs:\t1\n", "CapEff:\t0000000000000000\n", "Name:\thearth-holder\n"]
        let hasGivenUp = try await eventually {
            let status = try FileBytes.readPseudo("/proc/\(holder)/status", max: 1 << 16)
            let text = String(decoding: status, as: UTF8.self)
            return rights.allSatisfy { text.contains($0) }
        }
        #expect(hasGivenUp)
        try agent.ask(Parcel(.farewell))
    }
}
