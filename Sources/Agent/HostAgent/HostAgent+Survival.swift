internal import EventLoop
internal import HandOver
internal import Installation
internal import Logging
internal import Settings

// What outlives an agent that dies.
extension HostAgent {
    /// Takes what an agent with this state folder has left that died, if there is something.
    func takeBackHeld() async {
        held = await Holder.takeBack(state: layout.state, logger: logger) ?? []
        heldCount = held.count
        if !held.isEmpty {
            logger.notice("an agent before this one has died, and \(held.count) backends and turns were kept")
        }
    }

    /// Starts the process that keeps backends and turns if this one dies, where its owner wants that.
    func startHolder() throws(HostError) {
        let seconds = configuration.surviveCrash ?? 0
        guard seconds > 0 else { return }
        let holder = Holder(
            program: try InstalledParts.program("hearth-holder", executable: executable), state: layout.state,
            seconds: seconds, bounds: limits.holder, logger: logger)
        do throws(ParcelError) {
            try holder.start()
        } catch {
            throw HostError(
                "what is to survive a crash cannot be kept: \(error); leave --survive-crash out, or repair that")
        }
        self.holder = holder
    }

    /// As `Status.crash_holder` shows it.
    var shownHolder: (seconds: UInt32, pid: Int32, kept: Int)? {
        holder.map { ($0.seconds, $0.processID ?? 0, $0.count) }
    }
}
