#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>

#include "bindings/bindings.h"
#include "kernels/conv3x3/conv3x3.h"
#include "kernels/preprocess/preprocess.h"

namespace mobileinst {
namespace {

/// Whether the data lie where their type may lie: arrays can be views of bytes.
template <typename T>
bool is_aligned(const py::array_t<T, py::array::c_style>& array) {
    return reinterpret_cast<uintptr_t>(array.data()) % alignof(T) == 0;
}

std::string name_of(const py::dtype& dtype) { return py::str(dtype).cast<std::string>(); }

bool matches(const py::array& array, const std::vector<py::ssize_t>& shape, py::ssize_t smallest) {
    if (array.ndim() != static_cast<py::ssize_t>(shape.size())) {
        return false;
    }
    for (size_t i = 0; i < shape.size(); ++i) {
        const py::ssize_t extent = array.shape(static_cast<py::ssize_t>(i));
        if (shape[i] == kAny ? extent < smallest : extent != shape[i]) {
            return false;
        }
    }
    return true;
}

/// sum + 0 x: NaN from the first infinity or NaN on. One instruction where the processor fuses both.
float add_none_of(float x, float sum) {
#if defined(__ARM_FEATURE_FMA)
    return std::fma(x, 0.0f, sum);
#else
    return x * 0.0f + sum;
#endif
}

bool all_finite(const float* values, size_t count) {
    constexpr size_t kLanes = 32;  // sums that depend on nothing, which compilers make vectors of
    float sums[kLanes] = {};
    for (; count >= kLanes; values += kLanes, count -= kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) {
            sums[lane] = add_none_of(values[lane], sums[lane]);
        }
    }
    for (size_t i = 0; i < count; ++i) {
        sums[i] = add_none_of(values[i], sums[i]);
    }
    return std::none_of(sums, sums + kLanes, [](float sum) { return std::isnan(sum); });
}

/// Position of the first infinity or NaN, or `count`.
size_t first_not_finite(const float* values, size_t count) {
    if (all_finite(values, count)) {
        return count;
    }
    const auto strange = [](float x) { return !std::isfinite(x); };
    return static_cast<size_t>(std::find_if(values, values + count, strange) - values);
}

}  // namespace

std::string shape_text(const std::vector<py::ssize_t>& shape) {
    std::string text = "(";
    for (size_t i = 0; i < shape.size(); ++i) {
        text += (i == 0 ? "" : ", ") + (shape[i] == kAny ? std::string("any") : std::to_string(shape[i]));
    }
    return text + (shape.size() == 1 ? ",)" : ")");
}

template <typename T>
py::array_t<T, py::array::c_style> checked_array(const py::object& object, const char* name,
                                                 const std::vector<py::ssize_t>& shape,
                                                 py::ssize_t smallest) {
    const auto expected = [&] {
        return std::string(name) + ": expected a " + name_of(py::dtype::of<T>()) + " array of shape " +
               shape_text(shape);
    };
    if (!py::isinstance<py::array>(object)) {
        throw py::type_error(expected() + ", got " +
                             py::type::of(object).attr("__name__").cast<std::string>());
    }
    const auto array = py::reinterpret_borrow<py::array>(object);
    if (!py::dtype::of<T>().equal(array.dtype())) {
        throw py::type_error(expected() + ", got dtype " + name_of(array.dtype()));
    }
    if (!matches(array, shape, smallest)) {
        const std::vector<py::ssize_t> given(array.shape(), array.shape() + array.ndim());
        const std::string least = smallest > 0 ? " with no empty axis" : "";
        throw std::invalid_argument(expected() + least + ", got " + shape_text(given));
    }
    auto result = py::array_t<T, py::array::c_style>::ensure(array);
    if (result && !is_aligned(result)) {
        result = result.attr("copy")();
    }
    if (!result) {
        throw py::error_already_set();
    }
    return result;
}

template FloatArray checked_array<float>(const py::object&, const char*, const std::vector<py::ssize_t>&,
                                         py::ssize_t);
template ByteArray checked_array<uint8_t>(const py::object&, const char*, const std::vector<py::ssize_t>&,
                                          py::ssize_t);
template py::array_t<bool, py::array::c_style> checked_array<bool>(const py::object&, const char*,
                                                                   const std::vector<py::ssize_t>&,
                                                                   py::ssize_t);
template py::array_t<int64_t, py::array::c_style> checked_array<int64_t>(const py::object&, const char*,
                                                                         const std::vector<py::ssize_t>&,
                                                                         py::ssize_t);
template CountArray checked_array<uint32_t>(const py::object&, const char*, const std::vector<py::ssize_t>&,
                                            py::ssize_t);

void check_range(const char* name, long long value, long long low, long long high) {
    if (value < low || value > high) {
        throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(low) + " to " +
                                    std::to_string(high) + ", got " + std::to_string(value));
    }
}

void check_finite(const char* name, const float* values, size_t count) {
    const size_t strange = first_not_finite(values, count);
    if (strange < count) {
        throw std::invalid_argument(std::string(name) + ": expected finite values, got " +
                                    std::to_string(values[strange]) + " at position " +
                                    std::to_string(strange));
    }
}

void set_normalisation(PreprocessArgs* args, const std::vector<float>& mean, const std::vector<float>& std) {
    if (mean.size() != 3 || std.size() != 3) {
        throw std::invalid_argument("mean and std: expected 3 values each, got " +
                                    std::to_string(mean.size()) + " and " + std::to_string(std.size()));
    }
    check_finite("mean", mean.data(), 3);
    for (size_t c = 0; c < 3; ++c) {
        if (!(std[c] > 0.0f) || !std::isfinite(std[c])) {
            throw std::invalid_argument("std: expected values above 0, got " + std::to_string(std[c]));
        }
        args->mean[c] = mean[c];
        args->inverse_std[c] = 1.0f / std[c];
    }
}

Winograd winograd_argument(size_t outputs) {
    for (const Winograd winograd : {Winograd::F4x4, Winograd::F6x6, Winograd::F8x8}) {
        if (outputs == static_cast<size_t>(winograd)) {
            return winograd;
        }
    }
    throw std::invalid_argument("winograd_tile: expected 4, 6 or 8, got " + std::to_string(outputs));
}

Tier tier_argument(const py::object& tier) {
    return tier.is_none() ? active_tier() : tier_from_name(tier.cast<std::string>());
}

Activation activation_argument(const py::object& activation) {
    if (activation.is_none()) {
        return Activation::None;
    }
    const auto name = activation.cast<std::string>();
    if (name == "relu") {
        return Activation::Relu;
    }
    if (name == "relu6") {
        return Activation::Relu6;
    }
    if (name == "hard_sigmoid") {
        return Activation::HardSigmoid;
    }
    if (name == "silu") {
        return Activation::Silu;
    }
    throw std::invalid_argument(
        "activation: expected None, 'relu', 'relu6', 'hard_sigmoid' or 'silu', got '" + name + "'");
}

}  // namespace mobileinst
