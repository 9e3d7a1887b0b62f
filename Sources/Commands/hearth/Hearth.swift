internal import ArgumentParser
internal import Cryptography
internal import Glibc
internal import Installation
internal import LinuxSystem

/// The command line: one subcommand for each task of a person.
struct Hearth: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hearth",
        abstract: "Lends this machine to language-model inference, safely.",
        discussion: """
            EXAMPLES
              hearth serve --backends ~/backends             lend this machine
              hearth chat "Tell me a story about a fox."     ask it something
              hearth pull docker.io/ai/smollm2               download a model
              hearth key create laptop                       let another machine use it
              hearth status                                  see the state of the agent
              hearth pause                                   have the machine for yourself, until 'hearth resume'
              hearth logs llama -f                           follow a backend's output
              hearth doctor                                  test how well it can confine a backend

            EXIT CODES
              0    all went well
              1    the request failed, or its answer cannot be written; one line says why
              64   the command line is wrong
              69   the agent cannot be reached
              75   a model is not complete yet; the same command continues
              78   a setting is wrong, or the agent cannot serve with it
              130  Ctrl-C ended it
              141  the reader of the output has closed the pipe
            """,
        version: HearthVersion.current,
        subcommands: [
            ServeCommand.self, RunCommand.self, ChatCommand.self, TokenizeCommand.self, EmbedCommand.self,
            RerankCommand.self, PullCommand.self, ModelsCommand.self, PsCommand.self, TurnsCommand.self,
            BackendsCommand.self, LogsCommand.self, StatusCommand.self, PauseCommand.self, ResumeCommand.self,
            DrainCommand.self, RestartCommand.self, UpgradeCommand.self, SuccessorParentCommand.self, StopCommand.self,
            VacateGroupCommand.self, LimitsCommand.self,
            MetricsCommand.self, KeyCommand.self,
            HTTPCommand.self, ReloadCommand.self, TokenCommand.self, SandboxCommand.self, PolicyCommand.self,
            DoctorCommand.self,
        ])
}

/// A command that takes Ctrl-C as a request, not as its end.
protocol HandlesSignals {}

/// A command that has to clean up before a signal may end it; it calls `TerminationSignals.release`.
protocol HoldsSignals {}

@main
enum Main {
    /// Signals are blocked before the first thread starts, so `main` is synchronous. The command runs in a task, which
    /// parses it anew, because a command is not `Sendable`.
    static func main() {
        // Threads that read files and start backends are not waited for at the end: a disk may hang.
        OpenSSLLifetime.endsWithProcess()
        // libdispatch tells the system's log of each thread whose priority it could not raise: no ordinary user may.
        setenv("LIBDISPATCH_LOG", "NO", 0)
        StandardStreams.fillClosed()
        do {
            CommandLineSecrets.hide()
            let command = try Hearth.parseAsRoot()
            if command is any HandlesSignals { TerminationSignals.block() }
            if command is any HoldsSignals { TerminationSignals.hold() }
        } catch {
            end(error)
        }
        // Detached: `main` is isolated to the main actor, whose thread waits below.
        Task.detached {
            do {
                let command = try Hearth.parseAsRoot()
                if var asynchronous = command as? any AsyncParsableCommand {
                    try await asynchronous.run()
                } else {
                    var command = command
                    try command.run()
                }
            } catch {
                end(Failure.described(error))
            }
            exit(0)
        }
        // Not dispatchMain: it waits with an empty signal mask, and SIGTERM would end the process on the spot.
        while true { pause() }
    }

    /// Prints the parser's message: help on standard output, like any answer, and errors on standard error.
    private static func end(_ error: any Error) -> Never {
        let code = Hearth.exitCode(for: error)
        let message = Hearth.fullMessage(for: error)
        if !message.isEmpty {
            if code.isSuccess { Output.print(message) } else { Output.note(message) }
        }
        exit(code.rawValue)
    }
}
