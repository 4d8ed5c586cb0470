#pragma once

#include "kernels/convolution/convolution.h"

namespace mobileinst {
namespace {

/// ConvArgs with pointers to elements, and strides counted in them.
template <typename T>
struct ConvView {
    Map<const T> input;
    Map<T> output;
    const T* packed = nullptr;
    size_t kernel = 1, stride = 1, groups = 1;

    ConvView() = default;
    explicit ConvView(const ConvArgs& args)
        : input(args.input),
          output(args.output),
          packed(static_cast<const T*>(args.packed)),
          kernel(args.kernel),
          stride(args.stride),
          groups(args.groups) {}
};

inline size_t no_scratch(const ConvArgs& /*args*/) { return 0; }
inline size_t output_pixels(const ConvArgs& args) { return args.output.height * args.output.width; }
inline size_t output_rows(const ConvArgs& args) { return args.output.height; }

}  // namespace
}  // namespace mobileinst
