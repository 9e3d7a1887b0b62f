/// The arguments that tell the kinds of a call apart, such as the family of a socket.
package struct TellingArguments: Hashable, Sendable {
    package var call: UInt32
    /// Bit N stands for argument N, from 0 to 5.
    package var mask: UInt8

    package init(call: UInt32, mask: UInt8) {
        self.call = call
        self.mask = mask
    }
}
