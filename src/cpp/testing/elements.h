#pragma once

// Arrays of floats as elements of the type that a kernel computes with.

#include <optional>
#include <stdexcept>

#include "bindings/bindings.h"
#include "core/aligned_buffer.h"
#include "core/half.h"
#include "core/tensor.h"

namespace mobileinst {

/// "float32" or "float16"; None means the former.
inline DType element_type_argument(const py::object& name) {
    const std::string given = name.is_none() ? "float32" : name.cast<std::string>();
    if (given != "float32" && given != "float16") {
        throw std::invalid_argument("dtype: expected 'float32' or 'float16', got '" + given + "'");
    }
    return given == "float32" ? DType::Float32 : DType::Float16;
}

/// A tensor of floats, or a copy of it in halves, laid out as it.
class Operand {
  public:
    Operand() = default;
    Operand(const Tensor& floats, DType dtype) : tensor_(floats) {
        if (floats.data == nullptr || dtype == DType::Float32) {
            return;
        }
        const Map<const float> from(floats);
        memory_ = AlignedBuffer(from.pixels() * from.ld * sizeof(Half));
        tensor_ = make_tensor(dtype, memory_.data(), from.height, from.width, from.channels, from.ld);
        const Map<Half> to(tensor_);
        for (size_t pixel = 0; pixel < from.pixels(); ++pixel) {
            for (size_t channel = 0; channel < from.channels; ++channel) {
                to.pixel(pixel)[channel] = Half(from.pixel(pixel)[channel]);
            }
        }
    }

    const Tensor& tensor() const { return tensor_; }
    const void* data() const { return tensor_.data; }

  private:
    Tensor tensor_;
    AlignedBuffer memory_;
};

/// Where a kernel writes what becomes a tensor of floats: that itself, or halves laid out as it, poisoned.
class Result {
  public:
    Result(const Tensor& floats, DType dtype) : floats_(floats), tensor_(floats) {
        if (dtype == DType::Float32) {
            return;
        }
        const Map<const float> to(floats);
        count_ = to.pixels() * to.ld;
        memory_ = AlignedBuffer((count_ + 2 * kMargin) * sizeof(Half));
        for (size_t i = 0; i < count_ + 2 * kMargin; ++i) {
            elements()[i].bits = kPoison;
        }
        tensor_ = make_tensor(dtype, elements() + kMargin, to.height, to.width, to.channels, to.ld);
    }

    const Tensor& tensor() const { return tensor_; }

    /// Once the kernel has run. Throws std::logic_error if it wrote anything else than the result.
    void finish() {
        if (memory_.size() == 0) {
            return;
        }
        const Map<Half> from(tensor_);
        const Map<float> to(floats_);
        for (size_t pixel = 0; pixel < from.pixels(); ++pixel) {
            Half* row = from.pixel(pixel);
            for (size_t channel = 0; channel < from.channels; ++channel) {
                to.pixel(pixel)[channel] = static_cast<float>(row[channel]);
                row[channel].bits = kPoison;
            }
        }
        for (size_t i = 0; i < count_ + 2 * kMargin; ++i) {
            if (elements()[i].bits != kPoison) {
                throw std::logic_error("a kernel wrote beyond the channels of a pixel");
            }
        }
    }

  private:
    static constexpr uint16_t kPoison = 0x7dea;
    static constexpr size_t kMargin = 32;  // elements before and behind

    Half* elements() { return static_cast<Half*>(memory_.data()); }

    Tensor floats_, tensor_;
    AlignedBuffer memory_;
    size_t count_ = 0;
};

}  // namespace mobileinst
