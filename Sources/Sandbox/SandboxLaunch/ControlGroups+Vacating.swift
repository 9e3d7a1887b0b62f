internal import Glibc
internal import LinuxSystem

/// A group whose subgroups have limits takes no process ("no internal process"), so while backends outlive their agent, a
/// service manager cannot start the next one there. Before it does, the limits are noted and lifted; the next agent puts
/// them back. Meanwhile these backends are frozen, or end.
extension ControlGroups {
    /// The group of a command that systemd runs for a service with delegated groups, beside the main process's.
    private static let controlGroup = "/.control"
    private static let attribute = "user.hearth.limits"

    /// Makes room for the main process of the service that this process is a command of; does nothing elsewhere.
    package static func vacate() {
        guard let place = try? ownPlace(), place.hasSuffix(controlGroup) else { return }
        let groups = ControlGroups(folder: String(place.dropLast(controlGroup.utf8.count)), controllers: [])
        guard let enabled = try? groups.read("cgroup.subtree_control"), !enabled.isEmpty else { return }
        groups.forEachBackend(groups.noteLimits)
        let disabled = enabled.split(separator: " ").map { "-" + $0 }.joined(separator: " ")
        try? groups.write(disabled, "cgroup.subtree_control")
    }

    /// Puts back what was noted.
    func restoreLimits() {
        forEachBackend { name in
            let attribute = noteAttribute(name)
            guard let note = attribute.read(max: NotedLimits.bytesMax) else { return }
            let noted = NotedLimits(note: String(decoding: note, as: UTF8.self))
            do throws(LinuxError) {
                for line in noted.lines where access("\(folder)/\(name)/\(line.file)", F_OK) == 0 {
                    try write(line.text, "\(name)/\(line.file)")
                }
            } catch {
                kill(name)
            }
            attribute.remove()
        }
    }

    private func noteLimits(_ name: String) {
        var texts: [String: String] = [:]
        for file in NotedLimits.files { texts[file] = try? read("\(name)/\(file)") }
        let statistics = (try? FileBytes.readPseudo("\(folder)/\(name)/memory.stat", max: 1 << 20)) ?? []
        let noted = NotedLimits(texts: texts, statistics: String(decoding: statistics, as: UTF8.self))
        do throws(LinuxError) { try noteAttribute(name).write(Array(noted.note.utf8)) } catch { kill(name) }
    }

    private func noteAttribute(_ name: String) -> FileAttribute {
        FileAttribute(ControlGroups.attribute, of: "\(folder)/\(name)")
    }

    /// Ends a backend that could go on without limits only; it is started anew with them.
    private func kill(_ name: String) { try? write("1", "\(name)/cgroup.kill") }

    private func forEachBackend(_ body: (String) -> Void) {
        let names = (try? FolderNames.names(inFolder: folder, limit: 4096)) ?? []
        for name in names where name.hasPrefix("backend-") { body(name) }
    }
}
