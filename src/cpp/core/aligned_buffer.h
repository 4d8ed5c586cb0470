#pragma once

#include <cstddef>

namespace mobileinst {

/// Floats of whole cache lines of 64 bytes that hold so many: what lies apart by these shares no line.
constexpr size_t whole_cache_lines(size_t floats) { return (floats + 15) / 16 * 16; }

/// Owned floats, aligned to 64 bytes, zeroed. Movable, not copyable.
class AlignedBuffer {
  public:
    AlignedBuffer() = default;
    /// Throws std::bad_alloc if the memory can't be had.
    explicit AlignedBuffer(size_t floats);
    AlignedBuffer(AlignedBuffer&& other) noexcept;
    AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
    ~AlignedBuffer();

    float* data() { return data_; }
    const float* data() const { return data_; }
    size_t size() const { return size_; }

  private:
    void* memory_ = nullptr;  ///< what data_ lies in
    float* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace mobileinst
