#include "TemplateBounds.h"

#include <cstdlib>

#include <malloc.h>

namespace hearth {

namespace {

thread_local TemplateBounds *current = nullptr;

constexpr size_t stepBytes = 64;

}  // namespace

TemplateBounds::TemplateBounds(Limits limits) : limits(limits) {
    stackEnd = static_cast<const char *>(__builtin_frame_address(0)) - limits.stackBytes;
    current = this;
}

void TemplateBounds::end() {
    if (current == this) current = nullptr;
}

void TemplateBounds::spend(size_t bytes) {
    workBytes += stepBytes + bytes;
    if (exceededLimit == Exceeded::nothing) {
        if (workBytes > limits.workBytes || bytes > limits.workBytes) exceededLimit = Exceeded::work;
        if (memoryBytes + int64_t(bytes) > limits.memoryBytes) exceededLimit = Exceeded::memory;
        if (static_cast<const char *>(__builtin_frame_address(0)) < stackEnd) exceededLimit = Exceeded::stack;
    }
    if (exceededLimit != Exceeded::nothing) throw OutOfBounds();
}

void TemplateBounds::step() {
    if (current) current->spend(0);
}

void TemplateBounds::allocate(size_t bytes) {
    // Impossible sizes are left to malloc to refuse.
    if (current && bytes <= size_t(PTRDIFF_MAX)) current->spend(bytes);
}

void TemplateBounds::allocated(void *memory) {
    if (current) current->memoryBytes += int64_t(malloc_usable_size(memory));
}

void TemplateBounds::freed(void *memory) {
    if (current) current->memoryBytes -= int64_t(malloc_usable_size(memory));
}

}  // namespace hearth

// All of C++ in this executable allocates here; the other forms of these operators call these.

void *operator new(size_t size) {
    hearth::TemplateBounds::allocate(size);
    for (;;) {
        if (void *memory = std::malloc(size > 0 ? size : 1)) {
            hearth::TemplateBounds::allocated(memory);
            return memory;
        }
        const std::new_handler handler = std::get_new_handler();
        if (!handler) throw std::bad_alloc();
        handler();
    }
}

void operator delete(void *memory) noexcept {
    if (memory) hearth::TemplateBounds::freed(memory);
    std::free(memory);
}

void operator delete(void *memory, size_t) noexcept { operator delete(memory); }
