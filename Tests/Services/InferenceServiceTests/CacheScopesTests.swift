import GRPC
import LinuxSystem
import Testing

@testable import InferenceService

struct CacheScopesTests {
    @Test func `a caller has one scope, and no other caller has it`() {
        let scopes = CacheScopes()
        let callers = [
            CallerID.key(sha256: [UInt8](repeating: 1, count: 32)), .key(sha256: [UInt8](repeating: 2, count: 32)),
            .subject(["alice"])!, .origin(.ipv4(1)), .origin(.ipv4(2)), .origin(.user(1)), .origin(.unknown),
        ]
        #expect(Set(callers.map(scopes.scope)).count == callers.count)
        for caller in callers {
            #expect(scopes.scope(of: caller) == scopes.scope(of: caller))
            #expect(scopes.scope(of: caller).count == 32)
        }
    }

    @Test func `scopes are others with another secret`() {
        let caller = CallerID.origin(.ipv4(1))
        #expect(CacheScopes().scope(of: caller) != CacheScopes().scope(of: caller))
    }
}
