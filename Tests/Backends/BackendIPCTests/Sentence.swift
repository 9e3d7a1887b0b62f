import BackendIPC

/// What a violation says; "accepted" where there is none.
func sentence(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "accepted"
    } catch let error as ContractViolation {
        return error.sentence
    } catch {
        return "another error: \(error)"
    }
}
