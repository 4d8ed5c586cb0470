#pragma once

// Depthwise convolution of whole images.

#include "kernels/depthwise/rows.h"

namespace mobileinst {
namespace {

size_t depthwise_packed_size(const ConvSpec& spec) {
    return spec.kernel * spec.kernel * round_up(spec.in_channels, Vec<Element>::kWidth) * sizeof(Element);
}

void depthwise_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t channels = spec.in_channels, kernel = spec.kernel;
    Element* to = static_cast<Element*>(packed);
    const size_t taps = kernel * kernel, group = strip_vectors(kernel) * Vec<Element>::kWidth;
    for (size_t first = 0; first < channels;) {
        const size_t columns = first + group <= channels ? group : Vec<Element>::kWidth;
        for (size_t tap = 0; tap < taps; ++tap) {
            for (size_t c = first; c < first + columns; ++c) {
                *to++ = c < channels ? static_cast<Element>(weight[c * taps + tap]) : Element{};
            }
        }
        first += columns;
    }
}

void depthwise_run(const ConvArgs& args_, size_t begin, size_t end, void* /*scratch*/) {
    const ConvView<Element> args(args_);
    const VecEpilogue epilogue(args_.epilogue);
    const Interior interior(args);
    for (size_t y = begin; y < end; ++y) {
        depthwise_row(args, epilogue, interior, RowWindow(args, y), y);
    }
}

constexpr ConvKernels kDepthwise = {depthwise_packed_size, depthwise_pack, no_scratch,
                                    output_rows,           depthwise_run,  1};

}  // namespace
}  // namespace mobileinst
