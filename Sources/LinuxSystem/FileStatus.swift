internal import Glibc

/// What fstat(2) tells of a file, as far as trust in it is concerned.
package struct FileStatus: Equatable, Sendable {
    package let isRegular: Bool
    package let isFolder: Bool
    package let isCharacterDevice: Bool
    package let owner: UInt32
    /// The lower twelve bits of the mode: set-id bits and permissions.
    package let permissions: UInt32
    package let byteCount: UInt64
    /// Which file it is, however it is reached: device and inode.
    package let device: UInt64
    package let inode: UInt64

    package init(of descriptor: borrowing Descriptor, name: String) throws(LinuxError) {
        var status = stat()
        try checked("look at \(name)") { fstat(descriptor.raw, &status) }
        isRegular = status.st_mode & S_IFMT == S_IFREG
        isFolder = status.st_mode & S_IFMT == S_IFDIR
        isCharacterDevice = status.st_mode & S_IFMT == S_IFCHR
        owner = status.st_uid
        permissions = status.st_mode & 0o7777
        byteCount = UInt64(max(status.st_size, 0))
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    package var isSetUserOrGroupID: Bool { permissions & 0o6000 != 0 }
    package var isWritableByOthers: Bool { permissions & 0o022 != 0 }
    package var isExecutable: Bool { permissions & 0o111 != 0 }
    package var isSticky: Bool { permissions & 0o1000 != 0 }
}
