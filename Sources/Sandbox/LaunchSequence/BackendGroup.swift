internal import Glibc
internal import LaunchPlan
internal import LinuxSystem

/// The control group of a backend alone, below its launcher's: descriptors of its files, which only an exec or
/// `Launcher.keepOnly` closes.
struct BackendGroup {
    private static let eventsBytesMax = 4096

    private let processes: CInt
    private let state: CInt
    /// `cgroup.events`: ready for `priority` once something has changed since it was read.
    let events: CInt

    /// - Parameter folder: the folder of the launcher's group.
    init(in folder: borrowing Descriptor) throws(LinuxError) {
        let group = try folder.openBelow(GivenDescriptor.backendGroup, Descriptor.pathOnly | O_DIRECTORY | O_NOFOLLOW)
        processes = try group.openBelow("cgroup.procs", O_WRONLY).release()
        state = try group.openBelow("cgroup.freeze", O_WRONLY).release()
        events = try group.openBelow("cgroup.events", O_RDONLY).release()
    }

    /// The descriptors that freezing it needs.
    var descriptors: [CInt] { [state, events] }

    /// Moves this process into it: 0 is the process that writes (cgroups(7)).
    func enter() throws(LinuxError) { try BackendGroup.write("0", to: processes) }

    func freeze(_ isFrozen: Bool) throws(LinuxError) { try BackendGroup.write(isFrozen ? "1" : "0", to: state) }

    /// Whether all processes in it are frozen.
    func isFrozen() throws(LinuxError) -> Bool {
        var bytes = [UInt8](repeating: 0, count: BackendGroup.eventsBytesMax)
        let count = try checked("read cgroup.events") { pread(events, &bytes, bytes.count, 0) }
        return bytes[..<count].split(separator: UInt8(ascii: "\n")).contains { $0.elementsEqual("frozen 1".utf8) }
    }

    static func write(_ text: String, to file: CInt) throws(LinuxError) {
        let bytes = Array(text.utf8)
        try checked("write '\(text)' to a control group") { pwrite(file, bytes, bytes.count, 0) }
    }
}
