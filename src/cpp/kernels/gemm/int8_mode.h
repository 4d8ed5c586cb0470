#pragma once

#include "kernels/convolution/convolution.h"

namespace mobileinst {
namespace {

/// What becomes of a tile's sums: integers, by a table or plus a residual, or floats, within limits or by
/// another activation, or halves.
enum class Int8Mode { Plain, Table, Residual, Floats, Activated, Halves };

inline Int8Mode int8_mode(const ConvArgs& args) {
    if (args.output.dtype == DType::Float32) {
        return only_limits(args.epilogue.activation) ? Int8Mode::Floats : Int8Mode::Activated;
    }
    if (args.output.dtype == DType::Float16) {
        return Int8Mode::Halves;
    }
    if (args.epilogue.residual.data != nullptr) {
        return Int8Mode::Residual;
    }
    return args.requantisation.table != nullptr ? Int8Mode::Table : Int8Mode::Plain;
}

template <Int8Mode MODE>
struct Int8ModeConstant {
    static constexpr Int8Mode value = MODE;
};

/// Calls f with the mode as an Int8ModeConstant.
template <typename F>
void int8_in_mode(const ConvArgs& args, const F& f) {
    switch (int8_mode(args)) {
        case Int8Mode::Plain:
            return f(Int8ModeConstant<Int8Mode::Plain>());
        case Int8Mode::Table:
            return f(Int8ModeConstant<Int8Mode::Table>());
        case Int8Mode::Residual:
            return f(Int8ModeConstant<Int8Mode::Residual>());
        case Int8Mode::Floats:
            return f(Int8ModeConstant<Int8Mode::Floats>());
        case Int8Mode::Activated:
            return f(Int8ModeConstant<Int8Mode::Activated>());
        case Int8Mode::Halves:
            return f(Int8ModeConstant<Int8Mode::Halves>());
    }
}

}  // namespace
}  // namespace mobileinst
