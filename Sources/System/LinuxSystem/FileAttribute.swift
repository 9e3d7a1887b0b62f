internal import CLinux

/// An extended attribute of a file or folder (xattr(7)).
package struct FileAttribute: Sendable {
    private let path: String
    private let name: String

    package init(_ name: String, of path: String) {
        self.path = path
        self.name = name
    }

    /// What it holds; nil where there is none, or where it is longer.
    package func read(max: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: max)
        let count = hearth_get_attribute(path, name, &bytes, bytes.count)
        return count < 0 ? nil : Array(bytes[..<count])
    }

    package func write(_ bytes: [UInt8]) throws(LinuxError) {
        try checked("note \(name) on \(path)") { hearth_set_attribute(path, name, bytes, bytes.count) }
    }

    package func remove() { _ = hearth_remove_attribute(path, name) }
}
