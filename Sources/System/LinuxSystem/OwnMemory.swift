internal import CLinux
internal import Glibc

/// The memory of this process.
package enum OwnMemory {
    /// The bytes of it that are in the machine's memory (proc_pid_statm(5), `resident`), which is read in some ten
    /// microseconds; nil where the kernel does not tell.
    package static var residentBytes: Int? {
        guard let pages = try? FileBytes.readPseudo("/proc/self/statm", max: 256),
            let resident = String(decoding: pages, as: UTF8.self).split(separator: " ").dropFirst().first
        else { return nil }
        return Int(resident).map { $0 * sysconf(Int32(_SC_PAGESIZE)) }
    }

    /// Returns to the system what was freed and what the C library keeps (malloc_trim(3)). This takes some milliseconds
    /// when there is much of it.
    package static func returnFreed() { hearth_trim_memory() }
}
