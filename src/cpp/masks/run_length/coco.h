#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "masks/run_length/run_length.h"

namespace mobileinst {

/// COCO's text form of run lengths: six bits a character, differences to the run two before from the fourth
/// on.
std::string compress_runs(const uint32_t* runs, size_t count);

/// The inverse; throws std::invalid_argument for text that no run lengths give.
Runs decompress_runs(const std::string& text);

/// Sum of the runs; throws std::invalid_argument if it exceeds 2^32 - 1.
uint64_t total_pixels(const uint32_t* runs, size_t count);

/// Writes 0 and 1 into mask (height, width), row by row. The runs must sum to height * width.
void decode_runs(const uint32_t* runs, size_t count, size_t height, size_t width, uint8_t* mask);

/// Smallest box (x0, y0, x1, y1) with exclusive ends around the mask of that height, and its number of
/// pixels; all zero if the mask is empty.
struct Extent {
    float box[4];
    uint64_t area;
};
Extent extent_of_runs(const uint32_t* runs, size_t count, size_t height);

}  // namespace mobileinst
