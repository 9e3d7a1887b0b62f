import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("Replicas")
struct ReplicasTests {
    private func replicas(_ standings: Replicas.Standing...) -> Replicas { Replicas(standings: standings) }

    /// The choice where the processes last served the request's scope at these seconds; nil: never.
    private func chosen(_ replicas: Replicas, served: [UInt64?] = [], isYielding: Bool = false) -> Int? {
        replicas.serving(isYielding: isYielding) { index in
            guard index < served.count, let seconds = served[index] else { return nil }
            return Monotonic(nanoseconds: seconds * 1_000_000_000)
        }
    }

    private static let all: [Replicas.Standing] = [.ready(free: 1), .loading, .unloaded, .draining, .unavailable]

    @Test("a model with one process is as that one is")
    func one() {
        let states: [ServedModel.State] = [.ready, .loading, .unloaded, .loading, .unavailable]
        for (standing, state) in zip(Self.all, states) {
            #expect(replicas(standing).state == state)
            #expect(replicas(standing).representative == 0)
        }
        #expect(replicas(.ready(free: 0)).state == .ready, "it is ready whether or not it is full")
    }

    @Test("a model is as the best of its processes, which speaks for it, whichever number that has")
    func best() {
        for (better, standing) in Self.all.enumerated() {
            for worse in Self.all[(better + 1)...] {
                #expect(replicas(standing, worse).state == replicas(standing).state)
                #expect(replicas(worse, standing).state == replicas(standing).state)
                #expect(replicas(worse, standing).representative == 1)
                #expect(replicas(standing, worse).representative == 0)
            }
        }
        #expect(replicas(.ready(free: 0), .ready(free: 4)).representative == 0, "of equals the first")
    }

    @Test("only a process that is ready and has a free sequence serves")
    func serves() {
        for standing in [Replicas.Standing.ready(free: 0), .loading, .unloaded, .draining, .unavailable] {
            #expect(chosen(replicas(standing)) == nil)
            #expect(chosen(replicas(standing, .ready(free: 1))) == 1)
            #expect(chosen(replicas(.ready(free: 1), standing)) == 0)
            #expect(chosen(replicas(standing, .ready(free: 1)), served: [9, nil]) == 1)
        }
    }

    @Test("of several the one that served the caller last does, else the emptiest, else the first")
    func preferred() {
        let both = replicas(.ready(free: 1), .ready(free: 4))
        #expect(chosen(both) == 1)
        #expect(chosen(both, served: [1, nil]) == 0)
        #expect(chosen(both, served: [nil, 1]) == 1)
        #expect(chosen(both, served: [1, 2]) == 1)
        #expect(chosen(both, served: [2, 1]) == 0)
        #expect(chosen(replicas(.ready(free: 2), .ready(free: 2), .ready(free: 1))) == 0)
        #expect(chosen(replicas(.ready(free: 1), .ready(free: 3), .ready(free: 3)), served: [nil, nil, 5]) == 2)
    }

    @Test("while another model waits for memory only the first that is ready serves")
    func yields() {
        #expect(chosen(replicas(.ready(free: 1), .ready(free: 4)), isYielding: true) == 0)
        #expect(chosen(replicas(.ready(free: 0), .ready(free: 4)), served: [nil, 1], isYielding: true) == nil)
        #expect(chosen(replicas(.loading, .ready(free: 1)), isYielding: true) == 1)
    }

    @Test("one is loaded when none serves or all are full, one at a time, and the first that can be")
    func loaded() {
        #expect(replicas(.unloaded).next == 0)
        #expect(replicas(.unloaded, .unloaded).next == 0)
        #expect(replicas(.ready(free: 0), .unloaded, .unloaded).next == 1)
        #expect(replicas(.unloaded, .ready(free: 0)).next == 0)
        #expect(replicas(.ready(free: 1), .unloaded).next == nil, "a request has room")
        #expect(replicas(.ready(free: 0), .loading, .unloaded).next == nil, "one is coming")
        #expect(replicas(.loading, .unloaded).next == nil)
        #expect(replicas(.draining, .unloaded).next == 1, "what is to be replaced may take minutes")
        #expect(replicas(.unavailable, .unloaded).next == 1)
        for standing in [Replicas.Standing.ready(free: 0), .loading, .draining, .unavailable] {
            #expect(replicas(standing, standing).next == nil)
        }
    }
}

@Suite("RecentScopes")
struct RecentScopesTests {
    private func at(_ seconds: UInt64) -> Monotonic { Monotonic(nanoseconds: seconds * 1_000_000_000) }

    @Test("a scope is known with the time when it was served last")
    func times() {
        var scopes = RecentScopes(countMax: 2)
        #expect(scopes[[1]] == nil)
        scopes.served([1], at: at(1))
        scopes.served([1], at: at(2))
        #expect(scopes[[1]] == at(2) && scopes[[2]] == nil)
    }

    @Test("at the bound the one that was served the longest ago is forgotten")
    func bound() {
        var scopes = RecentScopes(countMax: 2)
        scopes.served([1], at: at(1))
        scopes.served([2], at: at(2))
        scopes.served([1], at: at(3))
        scopes.served([3], at: at(4))
        #expect(scopes[[1]] == at(3) && scopes[[2]] == nil && scopes[[3]] == at(4))
    }
}
