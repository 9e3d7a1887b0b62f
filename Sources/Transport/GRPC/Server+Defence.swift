internal import EventLoop
internal import HTTP2Connection
internal import LinuxSystem

/// The state by which a server stays within its limits when peers are hostile.
struct ServerDefence {
    /// The number of connections that close at the end of this turn.
    var leavingCount = 0
    /// The sum of `messageBytes` over the accounts of all connections that are not leaving.
    var messageBytes = 0
    /// When to search again for a connection that may be closed, after a search found none.
    var nextSearch = Monotonic(nanoseconds: 0)
    var isWatching = false
    var ebb = MemoryEbb()
    var toldFailures = Allowance(atOnce: 0)
    /// The bytes that may be decompressed for all connections together.
    var decompression = Allowance(atOnce: 0)
}

// MARK: - Counting

extension Server {
    func noteLimit(_ name: String) { limitsMet[name, default: 0] += 1 }

    /// Counts the limit that a status names, if any.
    func noteLimit(of status: Status) {
        if let limit = status.limit { noteLimit(limit) }
    }

    /// Tells `onConnectionFailure`, at a bounded rate: an attacker must not fill its victim's log.
    func tell(_ peer: SocketAddress, _ failure: ConnectionFailure) {
        guard let onConnectionFailure, defence.toldFailures.take(at: .now()) else { return }
        onConnectionFailure(peer, failure.description)
    }
}

// MARK: - Room for connections

extension Server {
    /// When room is needed, one in this many connections is closed, and at least one, so that the search over all of
    /// them pays.
    private static let shareThatGoes = 16

    /// Whether one more connection can be accepted. If there are too many, those are closed that have had no stream for
    /// longest, their handshake included: an honest client among them connects again when it has something to ask.
    /// After those come the connections whose calls have asked nothing yet, or have no named caller where the gate
    /// names callers: a client that watches a server's health can do so again.
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

    /// A call's compressed message must wait until bytes may be decompressed again; calls then go on in turn. The limit
    /// is counted as met once for each message.
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
    /// Counts the message bytes that the calls of a connection hold; returns the connection's sum.
    @discardableResult
    func noteMessageBytes(_ change: Int, of connection: ServerConnection) -> Int {
        connection.account.messageBytes += change
        guard change != 0, !connection.isLeaving else { return connection.account.messageBytes }
        defence.messageBytes += change
        // Messages are a part of all held bytes: if they alone exceed the limit, the whole does, and connections must
        // be ended.
        if change > 0, defence.messageBytes > limits.heldBytesMax { endWorst() }
        return connection.account.messageBytes
    }

    /// A connection closes at the end of this turn: it counts in no sum from here on.
    private func noteLeaving(_ connection: ServerConnection) {
        guard !connection.isLeaving else { return }
        connection.isLeaving = true
        defence.leavingCount += 1
        defence.messageBytes -= connection.account.messageBytes
    }

    /// The connection has closed. It stays out of the sums, like one that is leaving, but is not counted in
    /// `leavingCount`.
    func noteGone(_ connection: ServerConnection) {
        noteLeaving(connection)
        defence.leavingCount -= 1
        connection.undecompressed = []
    }

    /// The bytes held for all connections together, which `heldBytesMax` bounds. Takes time proportional to their
    /// number.
    package var heldBytes: Int {
        connections.values.reduce(0) { $0 + ($1.isLeaving ? 0 : $1.heldBytes) }
    }

    /// The approximate cost of a connection besides the bytes that it holds.
    private static let connectionBytes = 32 << 10

    /// Held bytes grow in too many places to be counted there. So the sum is computed at intervals, for as long as
    /// there are connections, or freed memory to be returned to the system.
    func watchHeldBytes() {
        guard !defence.isWatching else { return }
        defence.isWatching = true
        IOLoop.schedule(afterMilliseconds: limits.heldBytesCheckMilliseconds) { [weak self] in
            guard let self else { return }
            defence.isWatching = false
            endWorst()
            let held = heldBytes + connections.count * Self.connectionBytes
            if let resident = OwnMemory.residentBytes,
                defence.ebb.look(heldBytes: held, residentBytes: resident)
            {
                OwnMemory.returnFreed()
            }
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
