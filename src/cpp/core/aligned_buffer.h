#pragma once

#include <cstddef>

namespace mobileinst {

/// What memory is aligned to: a line of the caches.
constexpr size_t kAlignment = 64;

/// Bytes of whole cache lines that hold so many: what lies apart by these shares no line.
constexpr size_t whole_cache_lines(size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Owned bytes, aligned to kAlignment, zeroed. Movable, not copyable.
class AlignedBuffer {
  public:
    AlignedBuffer() = default;
    /// Throws std::bad_alloc if the memory can't be had.
    explicit AlignedBuffer(size_t bytes);
    AlignedBuffer(AlignedBuffer&& other) noexcept;
    AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
    ~AlignedBuffer();

    /// For `count` floats.
    static AlignedBuffer of_floats(size_t count) { return AlignedBuffer(count * sizeof(float)); }

    void* data() { return data_; }
    const void* data() const { return data_; }
    float* floats() { return static_cast<float*>(data_); }
    const float* floats() const { return static_cast<const float*>(data_); }
    size_t size() const { return size_; }

  private:
    void* memory_ = nullptr;  ///< what data_ lies in
    void* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace mobileinst
