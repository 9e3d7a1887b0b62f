internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import GRPCServices
internal import HandOver
internal import InferenceService
internal import LinuxSystem
internal import Settings
internal import TraceExport

// How it ends.
extension HostAgent {
    /// Reports the end to the watchers of the host's health, lets open calls go on for the grace, then stops the
    /// backends and closes every connection. Calls that its owner has paused are not waited for.
    package func stop(graceMilliseconds: UInt64) async {
        isStopping = true
        // It would have nobody to take over from, and would go on.
        async let upgradeEnd: Void = upgrades.stop()
        // What its owner ends is not kept, also if it does not come to its end.
        await left?.letGo()
        await holder?.farewell()
        inference.endResumption()
        let graceMilliseconds = supervisor.hold.pause == nil ? graceMilliseconds : 0
        let graceEnd = Monotonic.now().advanced(milliseconds: graceMilliseconds)
        health.end()
        access.stop()
        certificates?.stop()
        async let bridgeEnd: Void = endBridge(graceMilliseconds) {
            await $0.drain(graceMilliseconds: graceMilliseconds)
        }
        await consumers.drain(graceMilliseconds: graceMilliseconds)
        await bridgeEnd
        await upgradeEnd
        await end(graceMilliseconds: graceMilliseconds, graceEnd)
    }

    /// Another agent has taken the place of this one: relays open calls for the grace, then stops. `stop` ends it sooner.
    package func handOver(graceMilliseconds: UInt64) async {
        hasStarted = false
        health.endWatches()
        await holder?.farewell()
        certificates?.stop()
        let graceEnd = Monotonic.now().advanced(milliseconds: graceMilliseconds)
        async let bridgeEnd: Void = leaveBridge(graceMilliseconds)
        await consumers.handOver(graceMilliseconds: graceMilliseconds)
        await bridgeEnd
        await passed.handOver(graceMilliseconds: graceEnd.since(.now()) / 1_000_000)
        await passing?.end()
        access.stop()
        await end(graceMilliseconds: graceMilliseconds, graceEnd)
    }

    private func end(graceMilliseconds: UInt64, _ graceEnd: Monotonic) async {
        await supervisor.stop(graceMilliseconds: min(graceMilliseconds, 2000))
        consumers.close()
        bridged.close()
        passed.close()
        owner.close()
        await tracer?.stop(withinMilliseconds: graceEnd.since(.now()) / 1_000_000)
    }
}
