// Passing the processes of backends on to another agent.
extension Supervisor {
    /// Reads and writes nothing of any backend from now on, starts, ends and restarts none, and fires no watchdog, until
    /// `goOnAlone` or `letGo`. Returns what another agent needs for each process that has loaded its model. Requests that
    /// begin meanwhile wait.
    package func standStill() throws -> [PassedBackend] { [] }

    /// The other agent did not come up: everything goes on as though nothing had happened.
    package func goOnAlone() {}

    /// The other agent has the processes: what runs on them is lost here, without failure; processes that were not passed
    /// are ended, and nothing is started any more. Nothing that was passed is ended, neither now nor with this object.
    package func letGo() {}

    /// As `start()`, with processes that another agent has passed on: those that this one would run just the same are gone
    /// on with, the others are ended before their successors are started. Throws before it has touched any of them.
    package func start(goingOnWith passed: [PassedBackend]) throws { try start() }
}
