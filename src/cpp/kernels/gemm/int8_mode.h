#pragma once

#include "kernels/convolution/convolution.h"

namespace mobileinst {
namespace {

/// What becomes of a tile's sums: integers, by a table or plus a residual, or floats.
enum class Int8Mode { Plain, Table, Residual, Floats };

inline Int8Mode int8_mode(const ConvArgs& args) {
    if (args.output.dtype == DType::Float32) {
        return Int8Mode::Floats;
    }
    if (args.epilogue.residual.data != nullptr) {
        return Int8Mode::Residual;
    }
    return args.requantisation.table != nullptr ? Int8Mode::Table : Int8Mode::Plain;
}

}  // namespace
}  // namespace mobileinst
