internal import Foundation

/// Removes secrets from the command line that ps(1) and /proc/PID/cmdline show.
enum CommandLineSecrets {
    /// Overwrites the query of every connection string, once the arguments have been copied.
    static func hide() {
        // The first use makes the copy that every parser reads.
        _ = CommandLine.arguments
        for index in 0..<Int(CommandLine.argc) {
            guard let argument = CommandLine.unsafeArgv[index], let scheme = strstr(argument, "hearth://"),
                let query = strchr(scheme, CInt(UInt8(ascii: "?")))
            else { continue }
            memset(query + 1, CInt(UInt8(ascii: "x")), strlen(query + 1))
        }
    }
}
