internal import LinuxSystem

extension DetachedThread {
    /// Runs the body on a thread of its own and returns its result.
    static func result<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async -> Result<Value, any Error> {
        await withCheckedContinuation { continuation in
            do throws(LinuxError) {
                try run { continuation.resume(returning: Result { try body() }) }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
    }
}
