#include "kernels/kernel_table.h"

#include <stdexcept>
#include <string>

#include "kernels/convert/convert.h"

namespace mobileinst {

const KernelTable* table_of(Tier tier) {
    switch (tier) {
        case Tier::Ref:
            return &ref_kernels;
#if defined(__x86_64__)
        case Tier::Sse:
            return &sse_kernels;
        case Tier::Avx2:
            return &avx2_kernels;
#if defined(MOBILEINST_AVX_VNNI)
        case Tier::Avx2Vnni:
            return &avx2_vnni_kernels;
#endif
        case Tier::Avx512:
            return &avx512_kernels;
        case Tier::Avx512Vnni:
            return &avx512_vnni_kernels;
#elif defined(__aarch64__)
        case Tier::Neon:
            return &neon_kernels;
        case Tier::NeonFp16:
            return &neon_fp16_kernels;
        case Tier::NeonDot:
            return &neon_dot_kernels;
        case Tier::NeonI8mm:
            return &neon_i8mm_kernels;
#elif defined(__arm__)
        case Tier::NeonArmv7:
            return &neon_armv7_kernels;
#endif
        default:
            return nullptr;
    }
}

void throw_no_kernels(Tier tier, DType dtype) {
    const std::string type = dtype == DType::Float32 ? "" : std::string(dtype_name(dtype)) + " ";
    throw std::invalid_argument("this build lacks a " + type + "kernel for the tier '" + tier_name(tier) +
                                "'");
}

bool has_kernels(Tier tier, DType dtype, const std::string& operation) {
    bool known = false, found = false;
    for_each_operation([&](const char* name, auto member) {
        known = known || operation == name;
        for (const KernelTable* table = table_of(tier); table != nullptr; table = table->base) {
            found = found || (operation == name && (table->*member)[dtype] != nullptr);
        }
    });
    if (!known) {
        throw std::invalid_argument("unknown operation '" + operation + "'");
    }
    return found;
}

ConvertRun& convert_kernel(Tier tier, DType from, DType to) {
    for (const KernelTable* table = table_of(tier); table != nullptr; table = table->base) {
        if (table->convert == nullptr) {
            continue;
        }
        if (ConvertRun* found = table->convert->of[static_cast<size_t>(from)][static_cast<size_t>(to)]) {
            return *found;
        }
    }
    throw std::invalid_argument(std::string("no conversion from ") + dtype_name(from) + " to " +
                                dtype_name(to));
}

}  // namespace mobileinst
