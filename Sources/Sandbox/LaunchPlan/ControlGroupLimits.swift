/// What the control group of one backend may use (cgroups, kernel: admin-guide/cgroup-v2).
package struct ControlGroupLimits: Equatable, Sendable {
    /// memory.max; swap is none.
    package var memoryBytes: UInt64
    /// pids.max: processes and threads together.
    package var processes: UInt64
    /// cpu.max in whole processors.
    package var processors: UInt32

    package init(memoryBytes: UInt64, processes: UInt64, processors: UInt32) {
        self.memoryBytes = memoryBytes
        self.processes = processes
        self.processors = processors
    }
}
