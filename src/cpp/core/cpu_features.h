#pragma once

#include <string>
#include <vector>

namespace mobileinst {

/// What this CPU and its operating system support, of what the kernels may use.
struct CpuFeatures {
    bool sse2 = false;         ///< always on x86-64
    bool avx2 = false;         ///< with FMA, and the system saves the wide registers
    bool avx512 = false;       ///< F, VL, DQ and BW, and the system saves their registers
    bool avx512_vnni = false;  ///< VNNI and VBMI beside them
    bool neon = false;         ///< always on aarch64
    bool fp16 = false;         ///< armv8.2 half-precision arithmetic
    bool dotprod = false;      ///< armv8.2 SDOT
};

const CpuFeatures& cpu_features();

/// Names of the features found, for `doctor` and benchmarks.
std::vector<std::string> cpu_feature_names();

}  // namespace mobileinst
