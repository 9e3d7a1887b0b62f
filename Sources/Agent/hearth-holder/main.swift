// Keeps what its agent gives it, over that agent's death, until the next agent takes it or the time is over: `HoldingProcess`
// says how. It is started by the agent, in a session of its own.
internal import Glibc
internal import HandOver
internal import LinuxSystem

do throws(ParcelError) {
    var holding = try HoldingProcess()
    holding.run()
} catch {
    let errors = Descriptor(owning: STDERR_FILENO)
    try? errors.writeAll(Array("hearth-holder is started by hearth, which gives it its sockets: \(error)\n".utf8))
    _ = errors.release()
    exit(EX_USAGE)
}
