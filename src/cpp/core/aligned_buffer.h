#pragma once

#include <cstddef>

namespace mobileinst {

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
