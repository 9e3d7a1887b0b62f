internal import EventLoop
internal import Glibc
internal import HandOver
internal import LinuxSystem
internal import Logging

// Programs that tests kill. Descriptor 3 is a socket for parcels, whose other end the test has.
//
//   doomed journal
//       sends a parcel with the file of a journal, and a file of 8 bytes, then appends to the journal for ever, and writes
//       the number of the last piece that was appended into the other file
//   doomed agent FOLDER SECONDS PROGRAM
//       is an agent with a holder: keeps the parcels that it gets, forgets those that it is told to, ends its holder at a
//       relay and says farewell at a farewell. It answers each with the holder's process id as the key. Where an agent before
//       it has died, it gives its holder what that one has left, has it come into force at an end, and lets go of what was
//       left at a given.

/// Piece `number`: the number, a length, and as many bytes; a record begins with piece 1, or with a summary, whose number
/// has its highest bit set.
func piece(_ number: UInt32, count: UInt32) -> [UInt8] {
    withUnsafeBytes(of: number) { Array($0) } + withUnsafeBytes(of: count) { Array($0) }
        + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: Int(count))
}

func writeJournal(_ test: ParcelSocket) throws {
    let file = try TurnJournal.makeFile(recordBytesMax: 200_000)
    let journal = try TurnJournal(in: file, recordBytesMax: 200_000)
    let counter = try Descriptor.memoryFile("counter")
    let files = [try file.duplicate().release(), try counter.duplicate().release()]
    try test.send(Parcel(.turn, owning: files), withinMilliseconds: 30_000)
    var number: UInt32 = 1
    while true {
        let isSound = journal.append(piece(number, count: number &* 7 % 200)) {
            piece(number | 1 << 31, count: number &* 37 % 150_000)
        }
        precondition(isSound)
        var done = UInt64(number)
        _ = pwrite(counter.raw, &done, 8, 0)
        number += 1
    }
}

@IOLoop func beAgent(_ test: ParcelSocket, folder: String, seconds: UInt32, program: String) async throws {
    let logger = Logger(label: "doomed") { _ in SwiftLogNoOpLogHandler() }
    let left = await LeftParcels.find(state: folder, logger: logger)
    let holder = Holder(program: program, state: folder, seconds: seconds, logger: logger)
    try holder.start()
    for parcel in left?.parcels ?? [] { holder.keep(try parcel.duplicate()) }
    if left == nil { await holder.comeIntoForce() }
    let stream = ParcelStream(test)
    while let parcel = try await stream.receive(withinMilliseconds: 600_000) {
        switch parcel.kind {
        case .forget: holder.forget(parcel.key)
        case .farewell: await holder.farewell()
        case .end: await holder.comeIntoForce()
        case .given: await left?.letGo()
        case .relay:
            let earlier = holder.processID
            if let earlier { kill(earlier, SIGKILL) }
            while holder.processID == earlier { try await Task.sleep(for: .milliseconds(1)) }
        default: _ = holder.keep(parcel)
        }
        while parcel.kind != .farewell, !holder.isTold { try await Task.sleep(for: .milliseconds(1)) }
        try await stream.send(
            Parcel(.given, key: UInt64(holder.processID ?? 0)), withinMilliseconds: 30_000)
        if parcel.kind == .farewell { exit(0) }
    }
}

let arguments = CommandLine.arguments
let test = try ParcelSocket(owning: Descriptor(owning: 3))
switch (arguments.dropFirst().first, arguments.count) {
case ("journal", 2): try writeJournal(test)
case ("agent", 5):
    try await beAgent(test, folder: arguments[2], seconds: UInt32(arguments[3])!, program: arguments[4])
default: exit(EX_USAGE)
}
