#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"
#include "core/interpolation.h"
#include "core/tensor.h"
#include "core/tier.h"

namespace mobileinst {

/// A frame of bytes to the network's input in one pass: bilinear resize (half-pixel centres, no antialias),
/// order of the colors, and for floats (x - mean) / std. Integers are x - 128, rounded.
struct PreprocessArgs {
    const uint8_t* frame = nullptr;            ///< (frame_height, frame_width, 3), contiguous
    size_t frame_height = 0, frame_width = 0;  ///< each >= 1
    Tensor output;                             ///< (height, width, 3), contiguous, red first
    const LinearTap* columns = nullptr;        ///< (width,): linear_tap(x, frame_width, output.width)
    float mean[3] = {}, inverse_std[3] = {};   ///< for floats: of red, green, blue, on the scale 0..255
    bool bgr = false;                          ///< the frame's blue comes first
};

struct PreprocessKernels {
    /// Bytes of scratch that one run() needs; concurrent runs need one each, aligned to 64 bytes.
    size_t (*scratch_size)(const PreprocessArgs& args);
    /// Computes output rows [begin, end).
    void (*run)(const PreprocessArgs& args, size_t begin, size_t end, void* scratch);
};

}  // namespace mobileinst
