#pragma once

#include "kernels/convolution/convolution.h"

namespace mobileinst {
namespace {

/// What becomes of a tile's sums: integers, by a table or plus a residual, or floats, within limits or by
/// another activation.
enum class Int8Mode { Plain, Table, Residual, Floats, Activated };

inline Int8Mode int8_mode(const ConvArgs& args) {
    if (args.output.dtype == DType::Float32) {
        return only_limits(args.epilogue.activation) ? Int8Mode::Floats : Int8Mode::Activated;
    }
    if (args.epilogue.residual.data != nullptr) {
        return Int8Mode::Residual;
    }
    return args.requantisation.table != nullptr ? Int8Mode::Table : Int8Mode::Plain;
}

}  // namespace
}  // namespace mobileinst
