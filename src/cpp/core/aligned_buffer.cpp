#include "core/aligned_buffer.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace mobileinst {

AlignedBuffer::AlignedBuffer(size_t floats) : size_(floats) {
    if (floats == 0) {
        return;
    }
    if (floats > SIZE_MAX / sizeof(float)) {
        throw std::bad_alloc();
    }
    void* memory = nullptr;
    // not aligned_alloc: Android before API 28 has none
    if (posix_memalign(&memory, 64, floats * sizeof(float)) != 0) {
        throw std::bad_alloc();
    }
    std::memset(memory, 0, floats * sizeof(float));
    data_ = static_cast<float*>(memory);
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

AlignedBuffer::~AlignedBuffer() { std::free(data_); }

}  // namespace mobileinst
