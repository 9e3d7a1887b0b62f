import Foundation

/// A folder of a test's own, which is removed with its last reference.
package final class TemporaryFolder: Sendable {
    /// Without links on the way: /tmp may be one, and tests compare paths.
    package let path: String

    package init() {
        path =
            FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
            .appendingPathComponent("hearth-\(UUID().uuidString)").path
        // A test that cannot make its folder has nothing to say.
        try! FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }

    deinit { remove() }

    /// Removes it with all that is in it, before its time.
    package func remove() { try? FileManager.default.removeItem(atPath: path) }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file, in the place of what has that name, and gives its path.
    @discardableResult
    package func write(_ name: String, _ text: String = "", permissions: Int = 0o644) -> String {
        let isWritten = FileManager.default.createFile(
            atPath: file(name), contents: Data(text.utf8), attributes: [.posixPermissions: permissions])
        precondition(isWritten, "a test writes into a folder of its own")
        return file(name)
    }

    package func remove(_ name: String) { try? FileManager.default.removeItem(atPath: file(name)) }
}

/// Runs a test's body with a folder of its own.
@discardableResult
package func inTemporaryFolder<Result>(_ body: (String) throws -> Result) rethrows -> Result {
    let folder = TemporaryFolder()
    return try withExtendedLifetime(folder) { try body(folder.path) }
}
