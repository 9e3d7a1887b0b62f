/// One limit of setrlimit(2), soft and hard alike.
package struct ResourceLimit: Hashable, Sendable {
    package var resource: Resource
    package var value: UInt64

    package init(_ resource: Resource, _ value: UInt64) {
        self.resource = resource
        self.value = value
    }

    /// The numbers of asm-generic/resource.h, which x86-64 and arm64 share.
    package enum Resource: UInt32, CaseIterable, Sendable {
        case cpuSeconds = 0
        case fileBytes = 1
        case dataBytes = 2
        case stackBytes = 3
        case coreBytes = 4
        case processes = 6
        case descriptors = 7
        case lockedBytes = 8
        case addressSpaceBytes = 9
        case fileLocks = 10
        case pendingSignals = 11
        case messageQueueBytes = 12
        case niceness = 13
        case realtimePriority = 14
        case realtimeMicroseconds = 15
    }
}
