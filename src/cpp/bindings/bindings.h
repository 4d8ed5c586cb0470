#pragma once

// With gil.h the only header that includes pybind11.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "bindings/gil.h"
#include "core/activation.h"
#include "core/tier.h"

namespace mobileinst {

namespace py = pybind11;

using FloatArray = py::array_t<float, py::array::c_style>;
using ByteArray = py::array_t<uint8_t, py::array::c_style>;
using CountArray = py::array_t<uint32_t, py::array::c_style>;

/// The longest side of a frame or map that Python hands over.
constexpr long long kMaxSide = 65535;

/// An extent that may have any value.
constexpr py::ssize_t kAny = -1;

/// "(3, 4, any)".
std::string shape_text(const std::vector<py::ssize_t>& shape);

/// Throws std::invalid_argument naming the argument unless it is a NumPy array of T with that shape; kAny
/// matches any extent of at least `smallest`. Makes it C-contiguous and aligned, converting neither dtype nor
/// lists.
template <typename T>
py::array_t<T, py::array::c_style> checked_array(const py::object& object, const char* name,
                                                 const std::vector<py::ssize_t>& shape,
                                                 py::ssize_t smallest = 1);

/// checked_array(), or nothing for None.
inline std::optional<FloatArray> optional_array(const py::object& object, const char* name,
                                                const std::vector<py::ssize_t>& shape) {
    if (object.is_none()) {
        return std::nullopt;
    }
    return checked_array<float>(object, name, shape);
}

/// Throws std::invalid_argument unless the value lies in [low, high].
void check_range(const char* name, long long value, long long low, long long high);

/// Throws std::invalid_argument at the first infinity or NaN.
void check_finite(const char* name, const float* values, size_t count);

/// The named tier, or the active one for None.
Tier tier_argument(const py::object& tier);

/// None, "relu", "relu6", "hard_sigmoid" or "silu".
Activation activation_argument(const py::object& activation);

enum class Winograd : uint8_t;

/// The variant whose tiles have `outputs` (4, 6 or 8) outputs on each side.
Winograd winograd_argument(size_t outputs);

struct PreprocessArgs;

/// Checks and sets mean and standard deviation, three values each.
void set_normalisation(PreprocessArgs* args, const std::vector<float>& mean, const std::vector<float>& std);

void register_core(py::module_& module);
void register_plan(py::module_& module);
void register_plan_builder(py::module_& module);
void register_masks(py::module_& module);

}  // namespace mobileinst
