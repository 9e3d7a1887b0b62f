internal import Glibc
internal import LaunchPlan
internal import LinuxSystem

/// The backend's file system: an empty, read-only tmpfs that shows the plan's binds and, if asked for, a `/tmp`.
struct EmptyRoot {
    /// The path of a plan's writable folder.
    static let temporary = "/tmp"

    private static let rootBytes: UInt64 = 64 << 10
    private static let temporaryFiles: UInt64 = 1024

    let binds: [ReadOnlyBind]
    let devices: [String]
    let links: [RootLink]
    let temporaryBytes: UInt64

    /// Makes the tmpfs and makes it this process's root. Needs a mount namespace and the capabilities of its user
    /// namespace.
    func enter() throws(LaunchFailure) {
        try layer(.mountNamespace) { () throws(LinuxError) in try Mount.makePrivate() }
        // All sources are opened before anything is mounted that could hide one of them.
        var trees: [CInt] = []
        for bind in binds {
            trees.append(try layer(.emptyRoot) { () throws(LinuxError) in try EmptyRoot.tree(of: bind).release() })
        }
        for device in devices {
            trees.append(
                try layer(.emptyRoot) { () throws(LinuxError) in try EmptyRoot.tree(ofDevice: device).release() })
        }
        try layer(.emptyRoot) { () throws(LinuxError) in
            let files = UInt64((binds.count + devices.count) * LaunchPlan.Bounds.nestingMax + links.count + 16)
            let root = try Mount.temporary(bytes: EmptyRoot.rootBytes, files: files, mode: "755")
            let oldRoot = try Descriptor.open("/", Descriptor.pathOnly | O_DIRECTORY)
            try Mount.attach(root, at: oldRoot)
            for (target, tree) in zip(binds.map(\.target) + devices, trees) {
                try EmptyRoot.attach(Descriptor(owning: tree), at: target, below: root)
            }
            for link in links { try root.makeLink(link.name, to: link.target) }
            if temporaryBytes > 0 {
                let folder = try Mount.temporary(bytes: temporaryBytes, files: EmptyRoot.temporaryFiles, mode: "700")
                try EmptyRoot.attach(folder, at: EmptyRoot.temporary, below: root)
            }
            try Mount.restrict(root, deep: false)
            try Mount.enterRoot(root)
        }
    }

    private static func tree(of bind: ReadOnlyBind) throws(LinuxError) -> Descriptor {
        let tree = try Mount.clone(bind.open(), name: bind.source)
        try Mount.restrict(tree, deep: true, allowsExecution: bind.allowsExecution)
        return tree
    }

    private static func tree(ofDevice path: String) throws(LinuxError) -> Descriptor {
        let device = try Descriptor.open(path, Descriptor.pathOnly | O_NOFOLLOW)
        guard try FileFacts(of: device, name: path).kind == .characterDevice else {
            throw LinuxError(code: ENODEV, operation: "show \(path), which is no character device")
        }
        let tree = try Mount.clone(device, name: path)
        try Mount.restrict(tree, deep: true, allowsWriting: true, allowsDevices: true)
        return tree
    }

    /// Makes the parent folders, and a folder or an empty file to mount over. Follows no link: everything on the path
    /// was made here.
    private static func attach(
        _ tree: borrowing Descriptor, at path: String, below root: borrowing Descriptor
    ) throws(LinuxError) {
        let parts = ReadOnlyBind.components(of: path) ?? []
        var folder = try root.openBelow(".", Descriptor.pathOnly | O_DIRECTORY)
        for part in parts.dropLast() {
            try folder.makeFolder(String(part))
            folder = try folder.openBelow(String(part), Descriptor.pathOnly | O_DIRECTORY | O_NOFOLLOW)
        }
        let last = String(parts.last ?? ".")
        if try FileFacts(of: tree, name: path).kind == .folder {
            try folder.makeFolder(last)
        } else {
            _ = try folder.openBelow(last, O_WRONLY | O_CREAT | O_NOFOLLOW)
        }
        try Mount.attach(tree, at: folder.openBelow(last, Descriptor.pathOnly | O_NOFOLLOW))
    }
}
