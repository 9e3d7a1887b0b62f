import LaunchPlan
import SeccompFilter

extension FilterProgram {
    func verdict(
        _ number: UInt32, _ arguments: [UInt64] = [], architecture: UInt32 = SystemCall.nativeArchitecture
    ) -> Verdict { verdict(on: SystemCall(number, arguments, architecture: architecture)) }
}
