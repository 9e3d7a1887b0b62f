internal import Glibc
internal import LinuxSystem
internal import SandboxPolicy
internal import SeccompFilter

// Says what a policy's filter must answer, for libseccomp's simulator to be held against: Tests/Sandbox/Simulator/run.
//
//   policy-verdicts FILE FILTER
//       writes the compiled filter to FILTER, and prints a line for each sample: architecture, number, six arguments,
//       the verdict in the simulator's words, the call's name
//
// The verdicts come from the policy's rules and not from the filter. Exit status 1: the policy is refused, or the filter
// already says otherwise when this package runs it.

func fail(_ message: String) -> Never {
    let line = Array("policy-verdicts: \(message)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(1)
}

func words(_ action: SeccompPolicy.Action) -> String {
    switch action {
    case .allow: "ALLOW"
    case .errno(let number): "ERRNO(\(number))"
    case .killProcess: "KILL_PROCESS"
    case .killThread: "KILL"
    case .trap: "TRAP"
    case .log: "LOG"
    case .notify: "NOTIFY"
    }
}

func architecture(_ call: SystemCall) -> String {
    #if arch(x86_64)
        call.architecture == SystemCall.nativeArchitecture ? "x86_64" : "x86"
    #else
        call.architecture == SystemCall.nativeArchitecture ? "aarch64" : "arm"
    #endif
}

let arguments = CommandLine.arguments
guard arguments.count == 3 else { fail("usage: policy-verdicts FILE FILTER") }
do {
    let effective = try EffectivePolicy(SeccompPolicy.load(arguments[1]), asWritten: true)
    let filter = try effective.policy.compileAsWritten()
    let file = try Descriptor.open(arguments[2], O_CREAT | O_TRUNC | O_WRONLY)
    try file.writeAll(filter)
    if let call = effective.disagreement(with: try FilterProgram(filter)) {
        fail("\(arguments[1]): the filter disagrees about call \(call.number) with \(call.arguments)")
    }
    for call in effective.samples {
        let values = (0..<6).map { $0 < call.arguments.count ? "\(call.arguments[$0])" : "0" }
        let name = SyscallNames.name(of: call.number) ?? "-"
        print(
            architecture(call), call.number, values.joined(separator: " "), words(effective.action(on: call)), name)
    }
} catch {
    fail("\(error)")
}
