#ifndef HEARTH_TEMPLATE_BOUNDS_H
#define HEARTH_TEMPLATE_BOUNDS_H

#include <cstddef>
#include <cstdint>
#include <new>

namespace hearth {

/// Bounds the work of this thread while the object lives, for an untrusted template that may never end: every
/// allocation through `operator new`, and every `step`, counts, and throws `OutOfBounds` beyond a limit.
class TemplateBounds {
public:
    struct Limits {
        /// Bytes allocated, freed ones included, and 64 for each allocation and each step, as a measure of time.
        uint64_t workBytes;
        /// Bytes allocated and not yet freed.
        int64_t memoryBytes;
        /// Stack below the place where the object was made.
        size_t stackBytes;
    };

    enum class Exceeded { nothing, work, memory, stack };

    explicit TemplateBounds(Limits limits);
    ~TemplateBounds() { end(); }
    TemplateBounds(const TemplateBounds &) = delete;
    TemplateBounds &operator=(const TemplateBounds &) = delete;

    /// From here on nothing counts, so that the error can be reported.
    void end();

    /// The limit that was exceeded first. After that nothing can be allocated any more.
    Exceeded exceeded() const { return exceededLimit; }

    uint64_t spentBytes() const { return workBytes; }

    /// Called where a template might go on without allocating.
    static void step();

    /// Counts an allocation on this thread; throws beyond the limits.
    static void allocate(size_t bytes);
    static void allocated(void *memory);
    static void freed(void *memory);

private:
    void spend(size_t bytes);

    Limits limits;
    const char *stackEnd;
    uint64_t workBytes = 0;
    int64_t memoryBytes = 0;
    Exceeded exceededLimit = Exceeded::nothing;
};

struct OutOfBounds : std::bad_alloc {
    const char *what() const noexcept override { return "a limit of chat templates was met"; }
};

}  // namespace hearth

#endif
