internal import EventLoop
package import HTTP2Connection
internal import LinuxSystem

/// What a server keeps in mind to stay within its limits while some of its peers mean it no good.
struct ServerDefence {
    /// Connections that were told to go and close at this turn's end.
    var leaving: Set<ObjectIdentifier> = []
    /// Of all connections that are not leaving together, as in their accounts.
    var messageBytes = 0
    /// Calls whose compressed messages have to wait, by connection.
    var waiting: [ObjectIdentifier: WaitingCalls] = [:]
    /// No connection could be found that may go; until then nobody looks again.
    var nextSearch = Monotonic(nanoseconds: 0)
    var isWatching = false
    var ebb = MemoryEbb()
    var toldFailures = TokenBucket(atOnce: 0)
    /// What may be decompressed for all connections together.
    var decompression = TokenBucket(atOnce: 0)

    struct WaitingCalls {
        /// Those first that have waited for longest.
        var calls: [ServerCall] = []
        var isScheduled = false
    }
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

// MARK: - Callers

extension Server {
    /// Who has opened a connection: the subject of its certificate, once that is known, else the peer's address or user.
    package func callerID(of connection: HTTP2Connection) -> CallerID { callerID(of: ObjectIdentifier(connection)) }

    func callerID(of connection: ObjectIdentifier) -> CallerID { accounts[connection]?.caller ?? .origin(.unknown) }
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

    private var present: Int { connections.count - defence.leaving.count }

    private func dismissUnkept() {
        let now = Monotonic.now()
        guard defence.nextSearch <= now else { return }
        let unkept = connections.compactMap { id, connection in
            accounts[id].flatMap { account in
                account.keepingCalls > 0 || defence.leaving.contains(id)
                    ? nil : (connection: connection, hasStreams: connection.openStreams > 0, since: account.unkeptSince)
            }
        }
        .sorted { $0.hasStreams == $1.hasStreams ? $0.since < $1.since : $1.hasStreams }
        if unkept.isEmpty { defence.nextSearch = now.advanced(milliseconds: limits.acceptPauseMilliseconds) }
        for (connection, _, _) in unkept.prefix(max(limits.connectionsMax / Self.shareThatGoes, 1)) {
            noteLeaving(ObjectIdentifier(connection))
            connection.close(
                .noError,
                ConnectionFailure(.timedOut, "connectionsMax: it had been without a call for longest when another came")
            )
        }
    }
}

// MARK: - Decompression

extension Server {
    func decompressionLeft(of connection: ObjectIdentifier) -> Int {
        let now = Monotonic.now()
        return min(accounts[connection]?.decompressionLeft(at: now) ?? 0, defence.decompression.left(at: now))
    }

    func noteDecompressed(_ byteCount: Int, messages: Int, of connection: ObjectIdentifier) {
        let now = Monotonic.now()
        let cost = ConnectionAccount.costOfDecompressing(byteCount, messages: messages)
        accounts[connection]?.decompressed(cost: cost, at: now)
        defence.decompression.charge(cost, at: now)
    }

    /// A call has a compressed message for which nothing is left: it goes on in its turn, when there is something again.
    /// That the limit was met counts once for each message.
    func awaitDecompression(_ call: ServerCall, isFirstTime: Bool) {
        let isOwn = accounts[call.connectionID]?.decompressionLeft(at: .now()) ?? 0 <= 0
        if isFirstTime { noteLimit(isOwn ? "decompressedBytesPerSecondMax" : "decompressedBytesPerSecondTotalMax") }
        defence.waiting[call.connectionID, default: ServerDefence.WaitingCalls()].calls.append(call)
        scheduleDecompression(of: call.connectionID)
    }

    func stopAwaitingDecompression(_ call: ServerCall) {
        defence.waiting[call.connectionID]?.calls.removeAll { $0 === call }
    }

    private func scheduleDecompression(of connection: ObjectIdentifier) {
        guard defence.waiting[connection]?.isScheduled == false else { return }
        defence.waiting[connection]?.isScheduled = true
        let now = Monotonic.now()
        let wait = max(
            accounts[connection]?.millisecondsUntilDecompression(at: now) ?? 1_000,
            defence.decompression.millisecondsUntilOne(at: now) ?? 1_000)
        IOLoop.schedule(afterMilliseconds: wait) { [weak self] in self?.resumeDecompression(of: connection) }
    }

    private func resumeDecompression(of connection: ObjectIdentifier) {
        while decompressionLeft(of: connection) > 0, let call = defence.waiting[connection]?.calls.first {
            defence.waiting[connection]?.calls.removeFirst()
            call.resumeHeldBack()
        }
        defence.waiting[connection]?.isScheduled = false
        if defence.waiting[connection]?.calls.isEmpty == false {
            scheduleDecompression(of: connection)
        } else {
            defence.waiting[connection] = nil
        }
    }
}

// MARK: - Memory

extension Server {
    /// Counts what the calls of a connection hold of messages; returns the sum.
    @discardableResult
    func noteMessageBytes(_ change: Int, of connection: ObjectIdentifier) -> Int {
        guard change != 0, accounts[connection] != nil else { return accounts[connection]?.messageBytes ?? 0 }
        accounts[connection]?.messageBytes += change
        guard !defence.leaving.contains(connection) else { return accounts[connection]?.messageBytes ?? 0 }
        defence.messageBytes += change
        // Messages alone are a part of what is held: where they are too much, so is the whole, and some end.
        if change > 0, defence.messageBytes > limits.heldBytesMax { endWorst() }
        return accounts[connection]?.messageBytes ?? 0
    }

    /// A connection was told to go at this turn's end: from here on nothing of it counts.
    private func noteLeaving(_ connection: ObjectIdentifier) {
        guard defence.leaving.insert(connection).inserted else { return }
        defence.messageBytes -= accounts[connection]?.messageBytes ?? 0
    }

    /// The last of a connection.
    func forget(_ connection: ObjectIdentifier) {
        noteLeaving(connection)
        defence.leaving.remove(connection)
        defence.waiting[connection] = nil
        connections[connection] = nil
        accounts[connection] = nil
    }

    /// What is held for all connections together, as `heldBytesMax` bounds it. Looks at every connection.
    package var heldBytes: Int {
        connections.reduce(0) { sum, entry in
            defence.leaving.contains(entry.key) ? sum : sum + heldBytes(entry.key, entry.value)
        }
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

    private func heldBytes(_ id: ObjectIdentifier, _ connection: HTTP2Connection) -> Int {
        connection.heldBytes + (accounts[id]?.messageBytes ?? 0)
    }

    /// Ends the connections that hold most until the rest is within the limit.
    private func endWorst() {
        var held = heldBytes
        guard held > limits.heldBytesMax else { return }
        let worst = connections.filter { !defence.leaving.contains($0.key) }
            .map { (connection: $0.value, bytes: heldBytes($0.key, $0.value)) }
            .sorted { $0.bytes > $1.bytes }
        for (connection, bytes) in worst {
            guard held > limits.heldBytesMax else { return }
            held -= bytes
            noteLeaving(ObjectIdentifier(connection))
            noteLimit("heldBytesMax")
            connection.close(
                .enhanceYourCalm,
                ConnectionFailure(.flooded, "heldBytesMax: it held \(bytes) bytes, more than any other"))
        }
    }
}
