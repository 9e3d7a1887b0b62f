internal import CLinux
internal import Glibc

/// epoll(7), level-triggered: which of many descriptors are ready.
package struct Epoll: ~Copyable, Sendable {
    private let descriptor: Descriptor

    package init() throws(LinuxError) {
        descriptor = Descriptor(owning: try checked("make an epoll instance") { hearth_epoll_create() })
    }

    /// Readable while one of the watched descriptors is ready: an instance can be watched by another.
    package var raw: CInt { descriptor.raw }

    package func add(_ watched: CInt, _ interest: Readiness, tag: UInt64) throws(LinuxError) {
        // EPOLL_CTL_ADD is 1, as in sys/epoll.h.
        try checked("watch a descriptor") { hearth_epoll_control(descriptor.raw, 1, watched, interest.rawValue, tag) }
    }

    package func modify(_ watched: CInt, _ interest: Readiness, tag: UInt64) {
        // EPOLL_CTL_MOD is 3. It fails only for a descriptor that is not watched.
        precondition(hearth_epoll_control(descriptor.raw, 3, watched, interest.rawValue, tag) == 0)
    }

    package func remove(_ watched: CInt) {
        // EPOLL_CTL_DEL is 2.
        _ = hearth_epoll_control(descriptor.raw, 2, watched, 0, 0)
    }

    /// Waits for at most `timeoutMilliseconds` (-1: for ever) and fills the arrays, as far as they have room. Returns
    /// how many descriptors are ready.
    package func wait(
        events: inout [UInt32], tags: inout [UInt64], timeoutMilliseconds: CInt
    ) -> Int {
        let count = hearth_epoll_wait(descriptor.raw, &events, &tags, CInt(events.count), timeoutMilliseconds)
        if count < 0 { precondition(errno == EINTR, "epoll_wait fails only when interrupted") }
        return Int(max(count, 0))
    }
}

/// What a descriptor is ready for; the bits of epoll_ctl(2).
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readable = Readiness(rawValue: 0x001)
    /// EPOLLPRI: an exceptional condition, such as a change of a control group's `cgroup.events`.
    package static let priority = Readiness(rawValue: 0x002)
    package static let writable = Readiness(rawValue: 0x004)
    package static let error = Readiness(rawValue: 0x008)
    package static let hangUp = Readiness(rawValue: 0x010)

    /// There is something to read, be it an error or the end.
    package static let input = Readiness(rawValue: 0x019)

    /// The other end no longer reads, or is gone.
    package static let broken = Readiness(rawValue: 0x018)

    /// Readable, writable, both or neither. Use it instead of a literal: outside of this module `[.readable,
    /// .writable]` makes an array, which the protocol's own initializer reads element by element: 1,500 instructions
    /// and two allocations each time.
    package init(readable: Bool, writable: Bool) {
        rawValue = (readable ? 0x001 : 0) | (writable ? 0x004 : 0)
    }

    /// Whether any of those is among these.
    package func hasAny(of other: Readiness) -> Bool { rawValue & other.rawValue != 0 }
}

/// eventfd(2): wakes a thread that waits in epoll.
package struct EventCounter: ~Copyable, Sendable {
    private let descriptor: Descriptor

    package init() throws(LinuxError) {
        descriptor = Descriptor(owning: try checked("make an event counter") { hearth_eventfd() })
    }

    package var raw: CInt { descriptor.raw }

    package func signal() {
        var one: UInt64 = 1
        _ = write(descriptor.raw, &one, 8)
    }

    package func clear() {
        var count: UInt64 = 0
        _ = read(descriptor.raw, &count, 8)
    }
}
