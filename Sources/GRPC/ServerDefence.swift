internal import EventLoop
internal import HTTP2Connection
internal import LinuxSystem

/// What a server keeps in mind to stay within its limits while some of its peers mean it no good.
struct ServerDefence {
    /// Connections that were told to go and close at this turn's end.
    var leaving: Set<ObjectIdentifier> = []
    /// Of all connections together.
    var incompleteBytes = 0
    var keptBytes = 0
    /// No connection could be found that may go; until then nobody looks again.
    var nextSearch = Monotonic(nanoseconds: 0)
    var isWatching = false
    var toldFailures = TokenBucket(atOnce: 0)
}

// MARK: - Counting

extension Server {
    func noteLimit(_ name: String) { limitsMet[name, default: 0] += 1 }

    /// Counts what a status says of limits, whoever made it.
    func noteLimit(of status: Status) {
        if let limit = status.limit { noteLimit(limit) }
    }

    /// An attacker must not fill its victim's log.
    func tell(_ peer: SocketAddress, _ failure: ConnectionFailure) {
        guard let onConnectionFailure, defence.toldFailures.take(at: .now()) else { return }
        onConnectionFailure(peer, failure.description)
    }
}

// MARK: - Room for connections

extension Server {
    /// One of so many connections goes, at least one, where one has to: looking at all of them is worth it then.
    private static let shareThatGoes = 16

    /// Whether one more connection can be taken. Where there are too many, those go for it that have been without a stream
    /// for longest, the handshake included: an honest client among them connects anew when it has something to ask. Where
    /// all have streams, those go whose calls have been without a single message for longest.
    func hasRoom() -> Bool {
        guard present >= limits.connectionsMax else { return true }
        noteLimit("connectionsMax")
        dismissQuiet()
        return present < limits.connectionsMax
    }

    private var present: Int { connections.count - defence.leaving.count }

    private func dismissQuiet() {
        let now = Monotonic.now()
        guard defence.nextSearch <= now else { return }
        let present = connections.values.filter { !defence.leaving.contains(ObjectIdentifier($0)) }
        var quiet = present.compactMap { connection in connection.quietSince.map { (connection, since: $0) } }
        if quiet.isEmpty {
            let silent = silentCalls
            quiet = present.compactMap { connection in
                silent[ObjectIdentifier(connection)].map { (connection, since: $0) }
            }
        }
        quiet.sort { $0.since < $1.since }
        if quiet.isEmpty { defence.nextSearch = now.advanced(milliseconds: limits.acceptPauseMilliseconds) }
        for (connection, _) in quiet.prefix(max(limits.connectionsMax / Self.shareThatGoes, 1)) {
            defence.leaving.insert(ObjectIdentifier(connection))
            connection.close(
                .noError,
                ConnectionFailure(.timedOut, "connectionsMax: it had been quiet for longest when another one came"))
        }
    }

    /// When the first call began on each connection whose calls have all had no message yet.
    private var silentCalls: [ObjectIdentifier: Monotonic] {
        var began: [ObjectIdentifier: Monotonic] = [:]
        for call in calls.values where !call.hasAsked {
            began[call.connectionID] = min(began[call.connectionID] ?? call.began, call.began)
        }
        for call in calls.values where call.hasAsked { began[call.connectionID] = nil }
        return began
    }
}

// MARK: - Memory

extension Server {
    func decompressionLeft(of connection: ObjectIdentifier) -> Int {
        accounts[connection]?.decompressionLeft(at: .now()) ?? 0
    }

    func noteDecompressed(_ byteCount: Int, messages: Int, of connection: ObjectIdentifier) {
        accounts[connection]?.decompressed(byteCount, messages: messages, at: .now())
    }

    /// Counts what the calls of a connection keep of messages that are not whole; returns the sum.
    @discardableResult
    func noteIncomplete(_ change: Int, of connection: ObjectIdentifier) -> Int {
        guard change != 0, accounts[connection] != nil else { return accounts[connection]?.incompleteBytes ?? 0 }
        accounts[connection]?.incompleteBytes += change
        defence.incompleteBytes += change
        if change > 0, defence.incompleteBytes > limits.heldBytesMax { endWorst() }
        return accounts[connection]?.incompleteBytes ?? 0
    }

    /// Counts what the handlers of a connection's calls keep.
    func noteKept(_ change: Int, of connection: ObjectIdentifier) {
        guard change != 0, accounts[connection] != nil else { return }
        accounts[connection]?.keptBytes += change
        defence.keptBytes += change
        if change > 0, defence.keptBytes > limits.heldBytesMax { endWorst() }
    }

    /// What peers make the server hold grows in too many places to be added up where it happens, so it is looked at now
    /// and then, for as long as there are connections.
    func watchHeldBytes() {
        guard !defence.isWatching else { return }
        defence.isWatching = true
        IOLoop.schedule(afterMilliseconds: limits.heldBytesCheckMilliseconds) { [weak self] in
            guard let self else { return }
            defence.isWatching = false
            endWorst()
            if !connections.isEmpty { watchHeldBytes() }
        }
    }

    private func heldBytes(_ id: ObjectIdentifier, _ connection: HTTP2Connection) -> Int {
        connection.heldBytes + (accounts[id].map { $0.incompleteBytes + $0.keptBytes } ?? 0)
    }

    /// Ends the connections that hold most until the rest is within the limit.
    private func endWorst() {
        var held = connections.reduce(0) { sum, entry in
            defence.leaving.contains(entry.key) ? sum : sum + heldBytes(entry.key, entry.value)
        }
        guard held > limits.heldBytesMax else { return }
        let worst = connections.filter { !defence.leaving.contains($0.key) }
            .map { (connection: $0.value, bytes: heldBytes($0.key, $0.value)) }
            .sorted { $0.bytes > $1.bytes }
        for (connection, bytes) in worst {
            guard held > limits.heldBytesMax else { return }
            held -= bytes
            defence.leaving.insert(ObjectIdentifier(connection))
            noteLimit("heldBytesMax")
            connection.close(
                .enhanceYourCalm,
                ConnectionFailure(.flooded, "heldBytesMax: it held \(bytes) bytes, more than any other"))
        }
    }
}
