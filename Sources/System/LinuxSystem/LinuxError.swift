internal import Glibc

/// A failed system call: the operation, its object, and the errno.
package struct LinuxError: Error, Equatable, CustomStringConvertible {
    /// The `errno` of the call, as in errno(3).
    package let code: CInt
    /// The operation, such as "open /etc/passwd".
    package let operation: String

    package init(code: CInt, operation: String) {
        self.code = code
        self.operation = operation
    }

    /// Takes `errno` as the last failed call left it.
    package static func last(_ operation: String) -> LinuxError { LinuxError(code: errno, operation: operation) }

    package var description: String { "\(operation): \(String(cString: strerror(code)))" }
}

extension LinuxError {
    /// Whether the same call may succeed later without a repair: the machine lacked something for the moment
    /// (descriptors, memory, processes), or a disk or another process was in the way. False when the errno (errno(3))
    /// concerns the object itself, or the rights of this process.
    package var isTransient: Bool {
        switch code {
        case EPERM, EACCES, ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, EINVAL, EBADF, ENOSYS, EOPNOTSUPP, ENOEXEC,
            EFBIG, EROFS, ENXIO, ENODEV, ENOTTY, E2BIG, EXDEV, EOVERFLOW, ELIBBAD:
            false
        default: true
        }
    }
}

/// Passes a system call's result on, or throws its `errno`.
@discardableResult
package func checked<Value: FixedWidthInteger & SignedInteger>(
    _ operation: @autoclosure () -> String, _ call: () -> Value
) throws(LinuxError) -> Value {
    while true {
        let result = call()
        if result >= 0 { return result }
        if errno == EINTR { continue }
        throw LinuxError.last(operation())
    }
}
