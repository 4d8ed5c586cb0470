#pragma once

#include <cstddef>

namespace mobileinst {

/// A map (height, width, channels) or tokens (1, rows, channels) in memory. Pixels lie `ld` floats apart
/// without gaps between rows, so a slice of channels is a view, and a map is its own token matrix.
struct Tensor {
    float* data = nullptr;
    size_t height = 0, width = 0, channels = 0;
    size_t ld = 0;  ///< >= channels

    size_t pixels() const { return height * width; }
};

}  // namespace mobileinst
