internal import CLinux

/// Memory that this process has freed and that the C library keeps for it.
package enum FreedMemory {
    /// Returns it to the system (malloc_trim(3)). This takes some milliseconds when there is much of it.
    package static func giveBack() { hearth_trim_memory() }
}
