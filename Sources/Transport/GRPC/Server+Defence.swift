internal import EventLoop
internal import HTTP2Connection
internal import LinuxSystem

/// What a server keeps in mind to stay within its limits while some of its peers mean it no good.
struct ServerDefence {
    /// How many connections were told to go and close at this turn's end.
    var leavingCount = 0
    /// Of all connections that are not leaving together, as in their accounts.
    var messageBytes = 0
    /// No connection could be found that may go; until then nobody looks again.
    var nextSearch = Monotonic(nanoseconds: 0)
    var isWatching = false
    var ebb = MemoryEbb()
    var toldFailures = Allowance(atOnce: 0)
    /// What may be decompressed for all connections together.
    var decompression = Allowance(atOnce: 0)
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
    /// for longest, the handshake included: an honest client among them connects anew when it has something to ask. Then
    /// those whose calls have asked nothing yet, or are nobody's where callers have names: whoever watches a server's
    /// health can do so again.
    func hasRoom() -> Bool {
        guard present >= limits.connectionsMax else { return true }
        noteLimit("connectionsMax")
        dismissUnkept()
        return present < limits.connectionsMax
    }

    private var present: Int { connections.count - defence.leavingCount }

    private func dismissUnkept() {
        let now = Monotonic.now()
        guard defence.nextSearch <= now else { return }
        let unkept = connections.values.filter { $0.account.keepingCalls == 0 && !$0.isLeaving }.map {
            (connection: $0, hasStreams: $0.http2?.openStreams ?? 0 > 0, since: $0.account.unkeptSince)
        }
        .sorted { $0.hasStreams == $1.hasStreams ? $0.since < $1.since : $1.hasStreams }
        if unkept.isEmpty { defence.nextSearch = now.advanced(milliseconds: limits.acceptPauseMilliseconds) }
        for (connection, _, _) in unkept.prefix(max(limits.connectionsMax / Self.shareThatGoes, 1)) {
            noteLeaving(connection)
            connection.http2?.close(
                .noError,
                ConnectionFailure(.timedOut, "connectionsMax: it had been without a call for longest when another came")
            )
        }
    }
}

// MARK: - Decompression

extension Server {
    func decompressionLeft(of connection: ServerConnection) -> Int {
        let now = Monotonic.now()
        return min(connection.account.decompressionLeft(at: now), defence.decompression.left(at: now))
    }

    func noteDecompressed(_ byteCount: Int, messages: Int, of connection: ServerConnection) {
        let now = Monotonic.now()
        let cost = ConnectionAccount.costOfDecompressing(byteCount, messages: messages)
        connection.account.decompressed(cost: cost, at: now)
        defence.decompression.charge(cost, at: now)
    }

    /// A call has a compressed message for which nothing is left: it goes on in its turn, when there is something again.
    /// That the limit was met counts once for each message.
    func awaitDecompression(_ call: ServerCall, isFirstTime: Bool) {
        let isOwn = call.connection.account.decompressionLeft(at: .now()) <= 0
        if isFirstTime { noteLimit(isOwn ? "decompressedBytesPerSecondMax" : "decompressedBytesPerSecondTotalMax") }
        call.connection.undecompressed.append(call)
        scheduleDecompression(of: call.connection)
    }

    func stopAwaitingDecompression(_ call: ServerCall) {
        call.connection.undecompressed.removeAll { $0 === call }
    }

    private func scheduleDecompression(of connection: ServerConnection) {
        guard !connection.isDecompressionScheduled else { return }
        connection.isDecompressionScheduled = true
        let now = Monotonic.now()
        let wait = max(
            connection.account.millisecondsUntilDecompression(at: now) ?? 1_000,
            defence.decompression.millisecondsUntilOne(at: now) ?? 1_000)
        IOLoop.schedule(afterMilliseconds: wait) { [weak self, weak connection] in
            if let connection { self?.resumeDecompression(of: connection) }
        }
    }

    private func resumeDecompression(of connection: ServerConnection) {
        while decompressionLeft(of: connection) > 0, let call = connection.undecompressed.first {
            connection.undecompressed.removeFirst()
            call.resumeHeldBack()
        }
        connection.isDecompressionScheduled = false
        if !connection.undecompressed.isEmpty { scheduleDecompression(of: connection) }
    }
}

// MARK: - Memory

extension Server {
    /// Counts what the calls of a connection hold of messages; returns the sum.
    @discardableResult
    func noteMessageBytes(_ change: Int, of connection: ServerConnection) -> Int {
        connection.account.messageBytes += change
        guard change != 0, !connection.isLeaving else { return connection.account.messageBytes }
        defence.messageBytes += change
        // Messages alone are a part of what is held: where they are too much, so is the whole, and some end.
        if change > 0, defence.messageBytes > limits.heldBytesMax { endWorst() }
        return connection.account.messageBytes
    }

    /// A connection was told to go at this turn's end: from here on nothing of it counts.
    private func noteLeaving(_ connection: ServerConnection) {
        guard !connection.isLeaving else { return }
        connection.isLeaving = true
        defence.leavingCount += 1
        defence.messageBytes -= connection.account.messageBytes
    }

    /// It has closed. From here on it is left out of the sums as one that leaves, but not counted among those.
    func noteGone(_ connection: ServerConnection) {
        noteLeaving(connection)
        defence.leavingCount -= 1
        connection.undecompressed = []
    }

    /// What is held for all connections together, as `heldBytesMax` bounds it. Looks at every connection.
    package var heldBytes: Int {
        connections.values.reduce(0) { $0 + ($1.isLeaving ? 0 : $1.heldBytes) }
    }

    /// About what a connection costs besides what it holds.
    private static let connectionBytes = 32 << 10

    /// What peers make the server hold grows in too many places to be added up where it happens, so it is looked at now
    /// and then, for as long as there are connections, or memory of theirs to be given back.
    func watchHeldBytes() {
        guard !defence.isWatching else { return }
        defence.isWatching = true
        IOLoop.schedule(afterMilliseconds: limits.heldBytesCheckMilliseconds) { [weak self] in
            guard let self else { return }
            defence.isWatching = false
            endWorst()
            let held = heldBytes + connections.count * Self.connectionBytes
            if defence.ebb.look(heldBytes: held) { FreedMemory.giveBack() }
            if !connections.isEmpty || defence.ebb.isHigh { watchHeldBytes() }
        }
    }

    /// Ends the connections that hold most until the rest is within the limit.
    private func endWorst() {
        var held = heldBytes
        guard held > limits.heldBytesMax else { return }
        let worst = connections.values.filter { !$0.isLeaving }
            .map { (connection: $0, bytes: $0.heldBytes) }
            .sorted { $0.bytes > $1.bytes }
        for (connection, bytes) in worst {
            guard held > limits.heldBytesMax else { return }
            held -= bytes
            noteLeaving(connection)
            noteLimit("heldBytesMax")
            connection.http2?.close(
                .enhanceYourCalm,
                ConnectionFailure(.flooded, "heldBytesMax: it held \(bytes) bytes, more than any other"))
        }
    }
}
