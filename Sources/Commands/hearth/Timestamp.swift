internal import Foundation

/// Formats moments for tables and logs.
enum Timestamp {
    /// "2026-01-31 13:45:00", by this machine's clock and time zone.
    static func text(milliseconds: UInt64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(
            Date.ISO8601FormatStyle(timeZone: .current).year().month().day().dateSeparator(.dash)
                .time(includingFractionalSeconds: false).timeSeparator(.colon).dateTimeSeparator(.space))
    }
}
