internal import ArgumentParser
internal import ConsumerAccess
internal import Foundation
internal import GRPC
internal import ModelPull
internal import Settings
internal import TerminalText

/// Maps errors to one line on standard error and an exit code (sysexits(3) where one fits).
enum Failure {
    static let requestFailed = ExitCode(1)
    static let unreachable = ExitCode(69)
    static let badSetting = ExitCode(78)
    static let interrupted = ExitCode(130)

    /// Prints the line, unless the parser prints its own, and returns the error to exit with.
    static func described(_ error: any Error) -> any Error {
        switch error {
        case let error as HostError: return report("\(error)", badSetting)
        case let error as AccessError: return report("\(error)", requestFailed)
        case let error as Refusal: return report("\(error)", requestFailed)
        case let error as Unreachable: return report("\(error)", unreachable)
        case let error as PullFailure: return report("\(error)", ExitCode(error.kind.rawValue))
        case let status as Status: return report("\(status.code.name): \(status.message)", requestFailed)
        // The parser's own errors: help, a wrong flag, an exit code.
        default: return error
        }
    }

    /// Prints one line, whatever text it contains, and returns the code.
    static func report(_ line: String, _ code: ExitCode) -> ExitCode {
        Output.note("hearth: \(printable(line))")
        return code
    }
}

/// No agent answers at an address.
struct Unreachable: Error, CustomStringConvertible {
    let description: String
    /// It may be there: this user cannot ask it.
    var isForbidden = false
}
