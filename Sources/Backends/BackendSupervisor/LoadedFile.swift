internal import EventLoop
internal import LinuxSystem

/// One file of the weights that a process has open: compares it with the file at its path, reads a changed one while the
/// process goes on, and reports content that is not what was loaded. `WeightsWatch` decides; this class does what it
/// says.
///
/// Owned by its `ManagedBackend`; lives as long as the process; the I/O loop's own.
@IOLoop
final class LoadedFile {
    let file: ModelFile
    private let digests: DigestCache
    private var watch: WeightsWatch
    private var reading: WatchedWork?
    private let noticed: @IOLoop () -> Void
    private let changed: @IOLoop (String) -> Void

    /// `noticed` is called when `notice` may have changed, and `changed`, with the reason, when the process is to end for it.
    init(
        _ file: ModelFile, digests: DigestCache, checkMilliseconds: UInt64, noticed: @escaping @IOLoop () -> Void,
        changed: @escaping @IOLoop (String) -> Void
    ) {
        self.file = file
        self.digests = digests
        self.noticed = noticed
        self.changed = changed
        watch = WeightsWatch(
            path: file.path, facts: file.facts, digest: file.digest, checkMilliseconds: checkMilliseconds)
    }

    /// What the owner should know; empty when all is well.
    var notice: String { watch.notice }

    /// Takes what a look found at the path of the file, and the facts of the open file.
    func look(_ found: WeightsLook, held: FileFacts?) { carryOut(watch.look(found, held: held)) }

    /// The process is gone.
    func forget() { stopReading() }

    private func carryOut(_ action: WeightsWatch.Action) {
        switch action {
        case .nothing: break
        case .replace: changed(watch.reason)
        case .read(let milliseconds): read(withinMilliseconds: milliseconds)
        }
    }

    private func read(withinMilliseconds milliseconds: UInt64?) {
        stopReading()
        let control = WatchedWork()
        reading = control
        let (place, digests) = (file.place, digests)
        Task { [weak self] in
            let read = await DetachedThread.result { () throws in
                let begun = FileFacts.clockNanoseconds()
                let file = try ModelFile(place, digests: digests, isCalledOff: { control.noteStep() })
                let isCertain = file.facts.wasQuiet(forMilliseconds: DigestCache.quietMilliseconds, at: begun)
                return (facts: file.facts, digest: file.digest, isCertain: isCertain)
            }
            guard let self, reading === control else { return }
            reading = nil
            let found = try? read.get()
            carryOut(
                watch.read(
                    found?.facts ?? file.facts, digest: found?.digest, isCertain: found?.isCertain ?? false))
            noticed()
        }
        guard let milliseconds else { return }
        IOLoop.schedule(afterMilliseconds: milliseconds) { [weak self] in
            guard let self, reading === control else { return }
            stopReading()
            carryOut(watch.tooSlow())
        }
    }

    private func stopReading() {
        reading?.callOff()
        reading = nil
    }
}
