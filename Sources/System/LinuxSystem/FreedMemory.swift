internal import CLinux

/// Memory that this process has freed and that the C library keeps for it.
package enum FreedMemory {
    /// Gives it back to the system (malloc_trim(3)). Takes some milliseconds where there is much of it.
    package static func giveBack() { hearth_trim_memory() }
}
