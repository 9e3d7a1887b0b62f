internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import HandOver
internal import InferenceService
internal import Installation
internal import LinuxSystem
internal import Logging
internal import Settings

// What outlives an agent that dies.
extension HostAgent {
    /// Finds what an agent with this state folder has left that died, if there is something.
    func findLeft() async {
        left = await LeftParcels.find(state: layout.state, logger: logger)
        leftCount = left?.parcels.count ?? 0
        if leftCount > 0 {
            logger.notice("an agent before this one has died, and \(leftCount) backends and turns were kept")
        }
    }

    /// Starts the process that keeps backends and turns if this one dies, where its owner wants that, and takes what was left:
    /// it is let go of only once that process has it.
    func startHolder() async throws(HostError) {
        let seconds = configuration.surviveCrash ?? 0
        guard seconds > 0 else {
            await left?.letGo()
            return
        }
        let holder = Holder(
            program: try InstalledParts.program("hearth-holder", executable: executable), state: layout.state,
            seconds: seconds, bounds: limits.holder, logger: logger)
        do {
            try holder.start()
            self.holder = holder
            for copy in try left?.copies() ?? [] { holder.keep(copy) }
        } catch {
            self.holder = nil
            await holder.farewell()
            throw HostError(
                "what is to survive a crash cannot be kept: \(error); leave --survive-crash out, or repair that")
        }
        await holder.comeIntoForce()
        await left?.letGo()
        supervisor.onPassable = { [weak holder] key, backend in
            holder?.keep(Parcel(.backend, key: key, backend.bytes, owning: backend.take()))
        }
        supervisor.onGone = { [weak holder] in holder?.forget($0) }
        inference.keeper = HeldTurns(holder, recordBytesMax: limits.inference.resumableBytesOfCallerMax)
    }

    /// The processes of backends that the agent before this one has left.
    func takeLeftBackends() -> [PassedBackend] {
        (left?.parcels ?? []).filter { $0.kind == .backend }.map { parcel in
            PassedBackend(bytes: parcel.bytes, owning: parcel.takeAll(), heldAs: parcel.key)
        }
    }

    /// Goes on with the turns that the agent before this one has left; returns once their consumers can come back.
    func goOnWithLeftTurns() async throws(HostError) {
        let turns = (left?.parcels ?? []).filter { $0.kind == .turn }
        guard !turns.isEmpty else { return }
        var records: [[UInt8]] = []
        for parcel in turns {
            guard let file = parcel.take(0) else { continue }
            do throws(JournalError) {
                records.append(try TurnJournal.read(file, max: TurnJournal.recordBytesMax))
            } catch {
                logger.warning("a turn that was kept cannot be read: \(error)")
            }
        }
        records = LeftParcels.latest(of: records)
        let socket = try servePassedCalls()
        guard let client = try? await Client.connect(over: socket, limits: InferenceService.limitsOfPassing) else {
            throw HostError("the turns that were kept cannot be gone on with: this agent does not answer itself")
        }
        let passing = inference.goOn(withKept: records, by: client)
        await passing.end()
        client.close()
        // Those that go on are written down anew.
        for key in left?.keysOfTurns ?? [] { holder?.forget(key) }
        logger.notice("\(records.count - passing.refused) turns that were kept go on, and wait for their consumers")
        if passing.refused > 0 {
            logger.warning(
                "\(passing.refused) turns that were kept do not go on", metadata: ["why": "\(passing.refusal)"])
        }
    }

    /// As `Status.crash_holder` shows it.
    var shownHolder: (seconds: UInt32, pid: Int32, kept: Int)? {
        holder.map { ($0.seconds, $0.processID ?? 0, $0.count) }
    }
}

/// Keeps turns by a holder, each in a journal of its own.
@IOLoop
private final class HeldTurns: TurnKeeping {
    private let holder: Holder
    private let recordBytesMax: Int

    init(_ holder: Holder, recordBytesMax: Int) {
        self.holder = holder
        self.recordBytesMax = recordBytesMax
    }

    func keep(_ turn: UInt64) -> (any KeptTurn)? {
        // Those of backends are small.
        let key = turn | 1 << 63
        guard let file = try? TurnJournal.makeFile(recordBytesMax: recordBytesMax),
            let journal = try? TurnJournal(in: file, recordBytesMax: recordBytesMax),
            holder.keep(Parcel(.turn, key: key, owning: [file.release()]))
        else { return nil }
        return HeldTurn(journal, key: key, holder)
    }

    @IOLoop
    private final class HeldTurn: KeptTurn {
        private let journal: TurnJournal
        private let key: UInt64
        private let holder: Holder

        init(_ journal: TurnJournal, key: UInt64, _ holder: Holder) {
            self.journal = journal
            self.key = key
            self.holder = holder
        }

        func append(_ piece: [UInt8], whole: () -> [UInt8]) {
            // One that cannot be written any more is no help to anybody.
            if journal.isSound, !journal.append(piece, whole: whole) { forget() }
        }

        func forget() { holder.forget(key) }
    }
}
