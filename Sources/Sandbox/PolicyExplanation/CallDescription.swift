internal import LaunchPlan
internal import SandboxPolicy
package import SeccompFilter

/// A system call in words, for the list of denied calls.
package struct CallDescription: Sendable {
    /// The call's name, or "number N"; "(others)" for the kinds beyond the limit.
    package let name: String
    /// The argument that tells kinds apart in words, such as "AF_INET"; empty if there is none.
    package let argument: String

    package init(_ call: SystemCall) {
        if call.number == SupervisedCall.otherKinds {
            name = "(others)"
            argument = ""
            return
        }
        name = SyscallNames.name(of: call.number) ?? "number \(call.number)"
        if let index = ArgumentClass.index(ofCall: call.number), index < call.arguments.count {
            let value = call.arguments[index]
            argument = ArgumentClass.words(call: call.number, value: value) ?? "0x\(String(value, radix: 16))"
        } else {
            argument = ""
        }
    }
}
