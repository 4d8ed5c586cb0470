#pragma once

#include <cstdint>

namespace mobileinst {

/// What computes the convolutions and linear layers of a plan.
enum class Backend : uint8_t {
    Native,   ///< our kernels
    Xnnpack,  ///< XNNPACK's operators where they can: without residual or hard sigmoid, not in fused nodes
};

/// "native" or "xnnpack".
const char* backend_name(Backend backend);

/// Native, unless the environment variable MOBILEINST_BACKEND says otherwise. Read once. Throws
/// std::invalid_argument if it names a backend that is unknown or not in this build.
Backend active_backend();

}  // namespace mobileinst
