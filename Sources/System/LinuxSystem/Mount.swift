internal import CLinux
internal import Glibc

/// Mounts by descriptor: no path that another mount could hide is looked up twice (mount_setattr(2), move_mount(2)).
package enum Mount {
    /// A new, unattached tmpfs without devices, set-id or execution, with at most so many bytes and files.
    package static func temporary(bytes: UInt64, files: UInt64, mode: String) throws(LinuxError) -> Descriptor {
        // Text, because that is what the kernel takes; tmpfs would read 0 as "no limit".
        let size = String(max(bytes, 4096))
        let count = String(max(files, 1))
        return Descriptor(owning: try checked("make a tmpfs") { hearth_make_tmpfs(size, count, mode) })
    }

    /// An unattached copy of an open place, with the mounts below it; `name` is for the error.
    package static func clone(_ place: borrowing Descriptor, name: String) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("bind \(name)") { hearth_clone_tree(place.raw) })
    }

    /// Takes away set-id and, unless allowed, devices, execution and writing; `deep` for the mounts below it too.
    package static func restrict(
        _ tree: borrowing Descriptor, deep: Bool, allowsExecution: Bool = false, allowsWriting: Bool = false,
        allowsDevices: Bool = false
    ) throws(LinuxError) {
        try checked("restrict a mount") {
            hearth_restrict_mount(
                tree.raw, deep ? 1 : 0, allowsExecution ? 1 : 0, allowsWriting ? 1 : 0, allowsDevices ? 1 : 0)
        }
    }

    /// Mounts an unattached tree at an open place.
    package static func attach(_ tree: borrowing Descriptor, at place: borrowing Descriptor) throws(LinuxError) {
        try checked("attach a mount") { hearth_attach_mount(tree.raw, place.raw) }
    }

    /// Stops mounts from propagating between this namespace and the one that it was copied from.
    package static func makePrivate() throws(LinuxError) {
        try checked("make mounts private") { hearth_make_mounts_private() }
    }

    /// Makes an attached mount the root and detaches the old root.
    package static func enterRoot(_ root: borrowing Descriptor) throws(LinuxError) {
        try checked("enter the new root") { hearth_enter_root(root.raw) }
    }
}
