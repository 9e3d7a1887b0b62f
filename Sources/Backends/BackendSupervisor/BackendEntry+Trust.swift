internal import SandboxPolicy

extension BackendEntry {
    /// What it consists of, as far as it was read.
    private var files: BackendPins.Files {
        BackendPins.Files(executable: executable.fileDigest, manifest: manifestDigest, policy: policy?.digest)
    }

    /// The entry that is in force once the pins were asked: this one, or the one before as long as what has changed waits
    /// for its owner. Then what runs goes on, and is started again where its executable still lies there. One of which
    /// nothing earlier is known stays as it lies there, and is not launched.
    func admitted(by pins: PinBook, before: BackendEntry?) -> BackendEntry {
        var entry = self
        entry.refusal = nil
        entry.distrust = nil
        let file = String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...])
        guard let refusal = pins.refusal(of: name, file: file, policy: manifest.policy, files, isLook: true) else {
            return entry
        }
        var mayLaunch = false
        if let before, pins.holds(name, before.files) {
            entry = before
            entry.notice = notice
            entry.missingSince = missingSince
            mayLaunch = !refusal.changes.isEmpty && !refusal.changes.contains { $0.part == .executable }
        }
        entry.refusal = refusal
        entry.distrust = mayLaunch ? nil : refusal.words
        return entry
    }
}
