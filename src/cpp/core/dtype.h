#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mobileinst {

/// Type of a tensor's elements.
enum class DType : uint8_t { Float32, Float16, Int8 };

constexpr size_t kDTypes = 3;

/// Bytes of an element.
static constexpr size_t size_of(DType dtype) {
    return dtype == DType::Float32 ? 4 : dtype == DType::Float16 ? 2 : 1;
}

/// "float32", "float16" or "int8".
const char* dtype_name(DType dtype);

/// The type of that name. Throws std::invalid_argument if there is none.
DType dtype_from_name(const std::string& name);

}  // namespace mobileinst
