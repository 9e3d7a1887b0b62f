/// What the driver's command `keep` prints. Which calls a filter denies is the C library's affair, so they are left out.
extension RunningProgram {
    /// The keeper's next report; nil when there is none any more.
    func nextReport() throws -> String? {
        while let line = try readLine() {
            if !line.hasPrefix("denied ") { return line }
        }
        return nil
    }

    /// All that follow.
    func lastReports() throws -> [String] {
        var reports: [String] = []
        while let report = try nextReport() { reports.append(report) }
        return reports
    }
}
