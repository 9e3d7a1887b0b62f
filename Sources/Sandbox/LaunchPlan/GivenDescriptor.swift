/// Where the launcher finds what the agent gives it. The backend keeps 0 to 3 and the handed-on ones, no other.
package enum GivenDescriptor {
    /// The backend's end of the socket to the agent.
    package static let socket: CInt = 3
    /// The keeper's end of a socket of datagrams whose other end only the agent has: `KeeperReport` one way,
    /// `KeeperCommand` the other. Its end says that the agent has died.
    package static let keeper: CInt = 4
    /// The encoded plan in a sealed memory file.
    package static let plan: CInt = 5
    /// The backend's executable in a sealed memory file.
    package static let executable: CInt = 6
    /// The folder of the control group of launcher and backend; something else where the plan has no layer
    /// `controlGroup`.
    package static let controlGroup: CInt = 7
    /// The group in it that is the backend's alone, so that it can be frozen and its keeper goes on.
    package static let backendGroup = "backend"
    /// AT_EMPTY_PATH: the launcher executes the descriptor itself (execveat(2)); the filter lets exactly this pass.
    package static let executionFlags: CInt = 0x1000
    /// The first descriptor that is handed on at the same number, such as the weights of a model.
    package static let firstHandedOn: CInt = 8
}
