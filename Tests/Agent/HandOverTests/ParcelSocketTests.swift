import EventLoop
import Glibc
import HandOver
import LinuxSystem
import Testing

/// Descriptors of this process that are open, by what they refer to: a test counts those of its own pipes.
private func openEnds(of pipe: CInt) -> Int {
    var wanted = stat()
    guard fstat(pipe, &wanted) == 0 else { return -1 }
    return (0..<CInt(4096)).count { raw in
        var facts = stat()
        return fstat(raw, &facts) == 0 && facts.st_ino == wanted.st_ino && facts.st_dev == wanted.st_dev
    }
}

@Suite struct ParcelSocketTests {
    private static func received(_ socket: ParcelSocket) throws -> Parcel {
        try #require(try socket.receive(withinMilliseconds: 30_000))
    }

    @Test("a parcel comes as it was sent", arguments: [0, 1, 16 << 10, (16 << 10) + 1, 3 << 20])
    func comesAsSent(byteCount: Int) throws {
        let (here, there) = try ParcelSocket.pair()
        let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let pipe = try Descriptor.pipe()
        let sent = Parcel(
            .turn, key: 1 << 40 | 7, bytes,
            owning: [try pipe.first.duplicate().release(), try pipe.second.duplicate().release()])
        #expect(try here.trySend(sent))

        let came = try Self.received(there)
        #expect(came.kind == .turn)
        #expect(came.key == 1 << 40 | 7)
        #expect(came.bytes == bytes)
        #expect(came.descriptorCount == 2)
        // What is written into the one comes out of the other.
        guard let output = came.take(0), let input = came.take(1) else {
            Issue.record("a descriptor is missing")
            return
        }
        #expect(fcntl(output.raw, F_GETFD) & FD_CLOEXEC != 0)
        try input.writeAll([42])
        var byte: UInt8 = 0
        #expect(read(output.raw, &byte, 1) == 1)
        #expect(byte == 42)
        let again = came.take(0) == nil
        #expect(again)
    }

    @Test func everyKindPassesInOrder() throws {
        let (here, there) = try ParcelSocket.pair()
        for kind in Parcel.Kind.allCases {
            #expect(try here.trySend(Parcel(kind, key: UInt64(kind.rawValue))))
            let came = try Self.received(there)
            #expect(came.kind == kind)
            #expect(came.key == UInt64(kind.rawValue))
        }
    }

    @Test func asManyDescriptorsAsTheKernelTakesPass() throws {
        let (here, there) = try ParcelSocket.pair()
        let pipe = try Descriptor.pipe()
        let most = try (0..<Parcel.descriptorsMax).map { _ in try pipe.first.duplicate().release() }
        // A long message needs one more.
        let parcel = Parcel(.turn, [UInt8](repeating: 1, count: 1 << 20), owning: most)
        #expect(try here.trySend(parcel))
        #expect(try Self.received(there).descriptorCount == Parcel.descriptorsMax)

        let tooMany = Parcel(
            .turn, owning: try (0...Parcel.descriptorsMax).map { _ in try pipe.first.duplicate().release() })
        #expect(throws: ParcelError.tooLarge("\(Parcel.descriptorsMax + 1) descriptors")) { try here.trySend(tooMany) }
    }

    @Test func parcelsCloseWhatNobodyTook() throws {
        let (here, there) = try ParcelSocket.pair()
        let pipe = try Descriptor.pipe()
        do {
            let parcel = Parcel(.backend, owning: [try pipe.first.duplicate().release()])
            #expect(try here.trySend(parcel))
            // Once for the one that is sent, and it is on its way.
            #expect(openEnds(of: pipe.first.raw) == 3)
            let copy = try Self.received(there).duplicate()
            #expect(copy.descriptorCount == 1)
            #expect(openEnds(of: pipe.first.raw) == 4)
        }
        #expect(openEnds(of: pipe.first.raw) == 2)
    }

    @Test func aFullSocketTakesNothingMore() throws {
        let (here, there) = try ParcelSocket.pair()
        let parcel = Parcel(.turn, key: 5, [UInt8](repeating: 7, count: 16 << 10))
        var sent = 0
        while try here.trySend(parcel) { sent += 1 }
        #expect(throws: ParcelError.timedOut) { try here.send(parcel, withinMilliseconds: 1) }
        for _ in 0..<sent { #expect(try Self.received(there).key == 5) }
        try here.send(parcel, withinMilliseconds: 30_000)
        #expect(try Self.received(there).bytes == parcel.bytes)
    }

    @Test func whatWasSentBeforeTheEndComesFirst() throws {
        let ends = try Socket.datagramPair().take { [$0.release(), $1.release()] }
        let here = try ParcelSocket(owning: Descriptor(owning: ends[0]))
        do {
            let there = try ParcelSocket(owning: Descriptor(owning: ends[1]))
            #expect(try there.trySend(Parcel(.farewell)))
        }
        #expect(try Self.received(here).kind == .farewell)
        #expect(try here.receive(withinMilliseconds: 30_000) == nil)
        #expect(throws: ParcelError.ended) { try here.trySend(Parcel(.hello)) }
        let (near, far) = try ParcelSocket.pair()
        #expect(throws: ParcelError.timedOut) { try near.receive(withinMilliseconds: 0) }
        withExtendedLifetime(far) {}
    }
}

// What no agent sends: an error each, nothing crashes, and no descriptor is left open.
@Suite struct BrokenParcelTests {
    /// A whole header: 36 bytes.
    private static func header(
        mark: UInt32 = 0x4352_5048, version: UInt32 = 1, kind: UInt32 = 3, place: UInt32 = 0, key: UInt64 = 0,
        length: UInt64 = 0, descriptors: UInt32 = 0
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value) { bytes += $0 } }
        append(mark)
        append(version)
        append(kind)
        append(place)
        append(key)
        append(length)
        append(descriptors)
        return bytes
    }

    private static func failure(
        of datagram: [UInt8], _ descriptors: [CInt] = []
    ) throws -> ParcelError? {
        let ends = try Socket.datagramPair().take { [$0.release(), $1.release()] }
        let sender = Descriptor(owning: ends[1])
        let receiver = try ParcelSocket(owning: Descriptor(owning: ends[0]))
        #expect(try Socket.sendDatagram(sender.raw, datagram, [], descriptors: descriptors))
        do throws(ParcelError) {
            _ = try receiver.receive()
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "malformed datagrams",
        arguments: [
            ([1], "1 bytes"), (Array(header().dropLast()), "35 bytes"),
            (header(mark: 1), "it does not begin as one"), (header(version: 2), "version 2"),
            (header(kind: 0), "kind 0"), (header(kind: 11), "kind 11"), (header(place: 2), "its message is at place 2"),
            (header(length: 2) + [1], "1 bytes of a message of 2"), (header() + [1], "1 bytes of a message of 0"),
        ] as [([UInt8], String)])
    func malformed(datagram: [UInt8], what: String) throws {
        let pipe = try Descriptor.pipe()
        #expect(try Self.failure(of: datagram) == .malformed(what))
        // A header that says nothing of the descriptor is wrong in another way only when it is whole.
        _ = try Self.failure(of: datagram, [pipe.first.raw])
        #expect(openEnds(of: pipe.first.raw) == 2)
    }

    @Test func everyShortDatagramIsAnError() throws {
        let whole = Self.header(length: 8) + [UInt8](repeating: 0, count: 8)
        for count in 1..<whole.count { #expect(try Self.failure(of: Array(whole[..<count])) != nil) }
        #expect(try Self.failure(of: whole) == nil)
    }

    @Test func theNumberOfDescriptorsMustBeThatOfTheHeader() throws {
        let pipe = try Descriptor.pipe()
        let raw = pipe.first.raw
        #expect(try Self.failure(of: Self.header(), [raw]) == .descriptors(expected: 0, came: 1))
        #expect(try Self.failure(of: Self.header(descriptors: 2), [raw]) == .descriptors(expected: 2, came: 1))
        #expect(try Self.failure(of: Self.header(descriptors: 1)) == .descriptors(expected: 1, came: 0))
        #expect(
            try Self.failure(of: Self.header(descriptors: .max), [raw])
                == .descriptors(expected: Int(UInt32.max), came: 1))
        #expect(try Self.failure(of: Self.header(place: 1, length: 1)) == .descriptors(expected: 1, came: 0))
        #expect(openEnds(of: raw) == 2)
    }

    @Test func aMessageThatIsTooLongIsNotRead() throws {
        let length = UInt64(Parcel.bytesMax) + 1
        #expect(try Self.failure(of: Self.header(length: length)) == .tooLarge("a message of \(length) bytes"))
        #expect(try Self.failure(of: Self.header(length: .max)) == .tooLarge("a message of \(UInt64.max) bytes"))
    }

    @Test func aDatagramThatIsTooLongIsCutShort() throws {
        let pipe = try Descriptor.pipe()
        let long = Self.header(descriptors: 1) + [UInt8](repeating: 0, count: 64 << 10)
        #expect(try Self.failure(of: long, [pipe.first.raw]) == .cutShort)
        #expect(openEnds(of: pipe.first.raw) == 2)
    }

    @Test func aMessageIsReadOnlyFromAFileThatCannotChange() throws {
        let header = Self.header(place: 1, length: 4)
        let unsealed = try Descriptor.memoryFile("test")
        try unsealed.writeAll([1, 2, 3, 4])
        let why = ParcelError.unsoundMessage("it lies in a file that is no sealed memory file")
        #expect(try Self.failure(of: header, [unsealed.raw]) == why)
        try unsealed.seal()
        #expect(try Self.failure(of: header, [unsealed.raw]) == nil)

        let short = try Descriptor.memoryFile("test")
        try short.writeAll([1, 2, 3])
        try short.seal()
        #expect(try Self.failure(of: header, [short.raw]) == .unsoundMessage("it has 3 bytes instead of 4"))

        let pipe = try Descriptor.pipe()
        #expect(try Self.failure(of: header, [pipe.first.raw]) == why)
        #expect(openEnds(of: pipe.first.raw) == 2)
    }
}

@Suite struct ParcelListenerTests {
    @Test func aProcessOfTheSameUserIsHeard() throws {
        let folder = "/tmp/parcels-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        #expect(mkdir(folder, 0o700) == 0)
        defer { rmdir(folder) }
        let path = folder + "/held.sock"
        defer { unlink(path) }
        #expect(throws: ParcelError.system(LinuxError(code: ENOENT, operation: "connect to unix:\(path)"))) {
            try ParcelSocket.connect(toPath: path)
        }
        do {
            let listener = try ParcelListener(atPath: path)
            #expect(try listener.accept() == nil)
            var facts = stat()
            #expect(stat(path, &facts) == 0)
            #expect(facts.st_mode & 0o777 == 0o600)
            let client = try ParcelSocket.connect(toPath: path)
            let server = try #require(try listener.accept())
            #expect(server.peerUser == geteuid())
            #expect(try client.trySend(Parcel(.hello, key: 3)))
            #expect(try server.receive(withinMilliseconds: 30_000)?.key == 3)
        }
        #expect(throws: ParcelError.system(LinuxError(code: ECONNREFUSED, operation: "connect to unix:\(path)"))) {
            try ParcelSocket.connect(toPath: path)
        }
        // What a process left behind is replaced.
        _ = try ParcelListener(atPath: path)
    }
}

@Suite struct ParcelStreamTests {
    @Test @IOLoop func parcelsPassOnTheLoopInBothDirections() async throws {
        let (here, there) = try ParcelSocket.pair()
        let (near, far) = (ParcelStream(here), ParcelStream(there))
        let count = 200
        async let sending: Void = {
            for key in 0..<count {
                try await near.send(
                    Parcel(.turn, key: UInt64(key), [UInt8](repeating: 1, count: key * 200)), withinMilliseconds: 30_000
                )
            }
        }()
        for key in 0..<count {
            let came = try #require(try await far.receive(withinMilliseconds: 30_000))
            #expect(came.key == UInt64(key))
            #expect(came.bytes.count == key * 200)
            try await far.send(Parcel(.given, key: came.key), withinMilliseconds: 30_000)
            #expect(try await near.receive(withinMilliseconds: 30_000)?.key == UInt64(key))
        }
        try await sending
    }

    @Test @IOLoop func waitingEnds() async throws {
        let (here, there) = try ParcelSocket.pair()
        let near = ParcelStream(here)
        await #expect(throws: ParcelError.timedOut) { try await near.receive(withinMilliseconds: 1) }
        let parcel = Parcel(.turn, [UInt8](repeating: 7, count: 16 << 10))
        while try here.trySend(parcel) {}
        await #expect(throws: ParcelError.timedOut) { try await near.send(parcel, withinMilliseconds: 1) }
        #expect(try there.receive(withinMilliseconds: 30_000)?.bytes.count == 16 << 10)
        try await near.send(parcel, withinMilliseconds: 30_000)
    }
}
