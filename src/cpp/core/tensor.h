#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace mobileinst {

/// What the integers of a tensor stand for: scale * (value - zero).
struct Quantisation {
    float scale = 1.0f;
    int32_t zero = 0;
};

/// A map (height, width, channels) or tokens (1, rows, channels) in memory. Pixels lie `stride` bytes apart
/// without gaps between rows, so a slice of channels is a view, and a map is its own token matrix.
struct Tensor {
    void* data = nullptr;
    DType dtype = DType::Float32;
    Quantisation quantisation;  ///< of integers
    size_t height = 0, width = 0, channels = 0;
    size_t stride = 0;  ///< >= channels * size_of(dtype)

    size_t pixels() const { return height * width; }
    /// From the first pixel to the end of the last, with what lies between them.
    size_t bytes() const { return pixels() * stride; }
};

/// A tensor of elements, `ld` of them from one pixel to the next. Kernels write to none but their output.
inline Tensor make_tensor(DType dtype, const void* data, size_t height, size_t width, size_t channels,
                          size_t ld) {
    Tensor tensor;
    tensor.data = const_cast<void*>(data);
    tensor.dtype = dtype;
    tensor.height = height;
    tensor.width = width;
    tensor.channels = channels;
    tensor.stride = ld * size_of(dtype);
    return tensor;
}

/// The same of floats.
inline Tensor float_tensor(const float* data, size_t height, size_t width, size_t channels, size_t ld) {
    return make_tensor(DType::Float32, data, height, width, channels, ld);
}

/// A matrix of floats without gaps.
inline Tensor float_matrix(const float* data, size_t rows, size_t columns) {
    return float_tensor(data, 1, rows, columns, columns);
}

/// A tensor as kernels compute with it: elements of type T, of which pixels lie `ld` apart.
template <typename T>
struct Map {
    T* data = nullptr;
    size_t ld = 0, height = 0, width = 0, channels = 0;

    Map() = default;
    // Not as a function of its own, of which the linker might keep an instruction set's.
    __attribute__((always_inline)) explicit Map(const Tensor& tensor)
        : data(static_cast<T*>(tensor.data)),
          ld(tensor.stride / sizeof(T)),
          height(tensor.height),
          width(tensor.width),
          channels(tensor.channels) {}

    __attribute__((always_inline)) T* pixel(size_t index) const { return data + index * ld; }
    __attribute__((always_inline)) size_t pixels() const { return height * width; }
};

}  // namespace mobileinst
