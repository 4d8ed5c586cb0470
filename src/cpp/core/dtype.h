#pragma once

#include <cstddef>
#include <cstdint>

namespace mobileinst {

/// Type of a tensor's elements.
enum class DType : uint8_t { Float32 };

constexpr size_t kDTypes = 1;

/// Bytes of an element.
constexpr size_t size_of(DType /*dtype*/) { return sizeof(float); }

}  // namespace mobileinst
