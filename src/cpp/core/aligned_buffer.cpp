#include "core/aligned_buffer.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace mobileinst {
namespace {

constexpr size_t kHugePage = 2 << 20;

/// Asks for huge pages: transformed weights take many megabytes, and to be given these in pages of 4 KiB
/// takes longer than to compute them.
void want_huge_pages(void* memory, size_t bytes) {
#if defined(MADV_HUGEPAGE)
    static_cast<void>(madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE));
#else
    static_cast<void>(memory), static_cast<void>(bytes);
#endif
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : size_(bytes) {
    if (bytes == 0) {
        return;
    }
    if (bytes > SIZE_MAX - kHugePage) {
        throw std::bad_alloc();
    }
    const size_t alignment = bytes < 2 * kHugePage ? kAlignment : kHugePage;
    // calloc, as large memory is zero when it comes from the system
    memory_ = std::calloc(bytes + alignment, 1);
    if (memory_ == nullptr) {
        throw std::bad_alloc();
    }
    const auto address = reinterpret_cast<uintptr_t>(memory_);
    data_ = reinterpret_cast<void*>((address + alignment - 1) / alignment * alignment);
    if (alignment == kHugePage) {
        want_huge_pages(data_, bytes);
    }
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

AlignedBuffer::~AlignedBuffer() { std::free(memory_); }

}  // namespace mobileinst
