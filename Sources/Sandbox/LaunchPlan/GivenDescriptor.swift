/// The descriptors that the agent gives the launcher. The backend keeps 0 to 3 and the handed-on ones, no other.
package enum GivenDescriptor {
    /// The backend's end of the socket to the agent.
    package static let socket: CInt = 3
    /// The keeper's end of a datagram socket whose other end only the agent has: it carries `KeeperReport` to the agent
    /// and `KeeperCommand` to the keeper. When it ends, the agent has died.
    package static let keeper: CInt = 4
    /// The encoded plan in a sealed memory file.
    package static let plan: CInt = 5
    /// The backend's executable in a sealed memory file.
    package static let executable: CInt = 6
    /// The folder of the control group of launcher and backend; unused if the plan has no layer `controlGroup`.
    package static let controlGroup: CInt = 7
    /// The name of the backend's own group below it, which can be frozen while the keeper goes on.
    package static let backendGroup = "backend"
    /// AT_EMPTY_PATH: the launcher executes the descriptor itself (execveat(2)); the filter lets exactly this pass.
    package static let executionFlags: CInt = 0x1000
    /// The first descriptor that is handed on at the same number, such as a file of a model's weights.
    package static let firstHandedOn: CInt = 8
}
