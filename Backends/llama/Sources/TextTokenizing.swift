import BackendKit
import CLlama
import Glibc
import LlamaPlanning

/// Tokenizes a prompt on a thread of its own, whose stack is as deep as its longest run needs, while the steps go on.
/// One thread makes and queries it. The other thread writes `result` and ends; `result` is read only after that thread
/// was joined, which is why this is `unchecked`.
final class TextTokenizing: @unchecked Sendable {
    private let body: () -> Result<LlamaModel.Tokens, EngineFault>
    private var result: Result<LlamaModel.Tokens, EngineFault>?
    private var thread = pthread_t()

    /// Throws when the system has no thread or no stack to spare.
    init(
        stackBytes: Int, _ body: @escaping @Sendable () -> Result<LlamaModel.Tokens, EngineFault>
    ) throws(EngineFault) {
        self.body = body
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)
        // The retained reference belongs to the thread, which releases it.
        let work = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                let work = Unmanaged<TextTokenizing>.fromOpaque(context).takeRetainedValue()
                work.result = work.body()
                return nil
            }, work.toOpaque())
        guard code == 0 else {
            work.release()
            throw EngineFault(
                .overloaded,
                """
                there is no thread with \(stackBytes >> 20) MiB of stack for so long a text now \
                (\(String(cString: strerror(code)))); try again later, or send less
                """)
        }
    }

    /// The processor time that it has taken; nil when it has taken more than any text should, or the time is unknown.
    var processorNanoseconds: UInt64? {
        var clock = clockid_t()
        var time = timespec()
        guard pthread_getcpuclockid(thread, &clock) == 0, clock_gettime(clock, &time) == 0,
            time.tv_sec < Limits.textProcessorSecondsMax
        else { return nil }
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// The tokens once they are there; nil before. Must not be called again after that.
    func finished() -> Result<LlamaModel.Tokens, EngineFault>? {
        hearth_llama_join(thread) ? result : nil
    }
}
