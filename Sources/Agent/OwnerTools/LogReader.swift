internal import Foundation
package import InferenceMessages
internal import SwiftProtobuf

/// Keeps track of the lines shown of each backend's log: it gives the next requests, and takes the answers. A value
/// type; its only clock is the time of a line that has no end yet.
package struct LogReader {
    /// A line to show, and how many lines before it are lost.
    package struct Shown {
        /// The name of the backend and its process.
        package let source: String
        package let missing: UInt64
        /// False if only the number of lost lines is to be shown.
        package let hasLine: Bool
        package let line: Hearth_Admin_V1_LogLine
    }

    /// Whose log it is.
    private struct Origin: Hashable {
        let backend: String
        let model: String
        let replica: UInt32

        /// A backend with one model often has the model's name.
        var name: String {
            let process = replicaName(model, replica)
            // The HTTP bridge has no model.
            return model.isEmpty || backend == process ? backend : "\(backend)/\(process)"
        }
    }

    /// How much of one backend's log was shown.
    private struct Position {
        /// The log's number; a backend that was removed and added again has another log (`ReadLogResponse.log`).
        let log: UInt64
        let number: UInt64
    }

    /// Whether nothing was requested yet.
    package var isFresh = true
    private let lineCount: Int?
    private var positions: [Origin: Position] = [:]

    /// - Parameter lineCount: with how many of the last lines of each log that is there already to begin; nil: all.
    package init(lineCount: Int?) { self.lineCount = lineCount }

    package func request(for backend: Hearth_Admin_V1_Backend) -> Hearth_Admin_V1_ReadLogRequest {
        .with {
            $0.backend = backend.name
            $0.model = backend.model
            $0.replica = backend.replica
            let position = positions[
                Origin(backend: backend.name, model: backend.model, replica: backend.replica)]
            $0.after = position?.number ?? 0
            $0.log = position?.log ?? 0
        }
    }

    /// What to show of an answer to `request`, oldest first.
    /// - Parameter isFollowing: the end of a line that has none yet will come.
    package mutating func take(
        _ response: Hearth_Admin_V1_ReadLogResponse, to request: Hearth_Admin_V1_ReadLogRequest, isFollowing: Bool
    ) -> [Shown] {
        let origin = Origin(backend: request.backend, model: request.model, replica: request.replica)
        let before = positions[origin]
        positions[origin] = Position(log: response.log, number: response.lastNumber)
        var lines = response.lines
        var missing: UInt64 = 0
        if let before {
            // Nothing was shown yet of a log with another number.
            let shown = before.log == response.log ? before.number : 0
            let new = response.lastNumber - min(shown, response.lastNumber)
            missing = new - min(UInt64(lines.count), new)
        } else if isFresh, let lineCount {
            lines = lines.suffix(lineCount)
        }
        if !isFollowing, !response.unfinished.isEmpty, lineCount != 0 {
            if let lineCount { lines = lines.suffix(lineCount - 1) }
            lines.append(
                .with {
                    $0.number = response.lastNumber + 1
                    $0.timeMilliseconds = UInt64(Date().timeIntervalSince1970 * 1000)
                    $0.pid = response.lines.last?.pid ?? 0
                    $0.text = response.unfinished
                })
        }
        var shown: [Shown] = []
        for line in lines {
            shown.append(Shown(source: origin.name, missing: shown.isEmpty ? missing : 0, hasLine: true, line: line))
        }
        if shown.isEmpty, missing > 0 {
            shown.append(Shown(source: origin.name, missing: missing, hasLine: false, line: .init()))
        }
        return shown
    }
}
