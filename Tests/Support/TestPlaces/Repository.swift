import Foundation

/// Files of the repository that tests read.
package enum Repository {
    /// The folder of `Package.swift`.
    package static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .path

    /// The shipped policies.
    package static let policies = root + "/Policies"

    /// The model that `Backends/llama/demo-model` makes, a GGUF of about a megabyte.
    package static let demoModel = root + "/Backends/llama/demo-model/hearth-demo.gguf"
}
