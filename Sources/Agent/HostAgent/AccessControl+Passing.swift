internal import ConsumerAccess
internal import InferenceMessages
internal import SwiftProtobuf

internal import struct Foundation.Data

/// The tokens of keys' minutes, when another agent takes the place of this one.
extension AccessControl {
    /// What keys have used here, once nothing is computed for them any more.
    var usedTokens: [Hearth_Handover_V1_UsedTokens] {
        register.usedTokens.map { used in
            .with {
                $0.keySha256 = Data(used.keySHA256)
                $0.second = used.second
                $0.counts = used.counts
            }
        }
    }

    /// Counts what keys have used with the agent before this one.
    func goOn(with used: [Hearth_Handover_V1_UsedTokens]) {
        register.goOn(
            with: used.map { UsedTokens(keySHA256: [UInt8]($0.keySha256), second: $0.second, counts: $0.counts) })
    }
}
