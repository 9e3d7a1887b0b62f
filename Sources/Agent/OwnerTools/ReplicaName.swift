package import InferenceMessages

/// What people are shown as the name of a model's process: the model's id, and behind a number sign which one it is where
/// the model has several. Not for programs: an id may hold a number sign itself.
package func replicaName(_ model: String, _ replica: UInt32) -> String {
    replica == 0 ? model : "\(model)#\(replica)"
}

extension Hearth_Admin_V1_Backend {
    /// The name of the process among those of its backend.
    package var processName: String { replicaName(model, replica) }
}
