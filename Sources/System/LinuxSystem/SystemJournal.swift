internal import Glibc

/// systemd's journal, in which other users may read what a service prints.
package enum SystemJournal {
    /// Whether standard output ends there: JOURNAL_STREAM names its device and inode (systemd.exec(5)).
    package static func receivesStandardOutput(environment: [String: String]) -> Bool {
        var status = stat()
        guard let named = environment["JOURNAL_STREAM"], fstat(STDOUT_FILENO, &status) == 0 else { return false }
        return named == "\(status.st_dev):\(status.st_ino)"
    }
}
