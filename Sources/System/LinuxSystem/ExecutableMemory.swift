internal import CLinux
internal import Glibc

extension Descriptor {
    /// A memory file that may be executed once it is filled and sealed (memfd_create(2)).
    package static func executableMemoryFile(_ name: String) throws(LinuxError) -> Descriptor {
        let raw = try checked("make an executable memory file (is vm.memfd_noexec 2?)") {
            hearth_executable_memfd(name)
        }
        return Descriptor(owning: raw)
    }

    /// Whether the borrowed descriptor is a memory file that nothing can change any more.
    package static func isSealed(_ raw: CInt) throws(LinuxError) -> Bool {
        try checked("look at the seals of descriptor \(raw)") { hearth_is_sealed(raw) } == 1
    }
}
