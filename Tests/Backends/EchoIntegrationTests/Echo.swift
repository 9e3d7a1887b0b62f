import BackendDriver
import BackendProgram
import TestPlaces

extension BackendProgram {
    /// The built backend `echo`, whose end of the socket does not block.
    static var echo: BackendProgram { echo(socketBlocks: false) }

    static func echo(socketBlocks: Bool) -> BackendProgram {
        var program = BackendProgram(path: Built.path("echo"))
        program.socketBlocks = socketBlocks
        return program
    }
}

extension BackendDriver {
    /// An echo that has loaded its model.
    static func readyEcho(
        sequences: UInt32 = 16, contextTokens: UInt32 = 0, options: [String: String] = [:], socketBlocks: Bool = false
    ) throws -> BackendDriver {
        let echo = try BackendDriver(.echo(socketBlocks: socketBlocks))
        try echo.load(model: "echo", contextTokens: contextTokens, maxSequences: sequences, options: options)
        return echo
    }
}
