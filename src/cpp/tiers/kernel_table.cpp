#include "kernels/kernel_table.h"

#include <stdexcept>
#include <string>

#include "kernels/convert/convert.h"

namespace mobileinst {
namespace {

template <typename Kernels>
bool has(const KernelTable& table, DType dtype, ByDType<Kernels> KernelTable::* operation) {
    return (table.*operation)[dtype] != nullptr;
}

struct Operation {
    const char* name;
    bool (*has)(const KernelTable& table, DType dtype);
};

constexpr Operation kOperations[] = {
    {"attention", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::attention); }},
    {"axial_attention",
     [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::axial_attention); }},
    {"conv3x3", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::conv3x3); }},
    {"conv_direct", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::conv_direct); }},
    {"depthwise", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::depthwise); }},
    {"elementwise", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::elementwise); }},
    {"gemm", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::gemm); }},
    {"inverted_residual",
     [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::inverted_residual); }},
    {"layer_norm", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::layer_norm); }},
    {"pooling", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::pool); }},
    {"preprocess", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::preprocess); }},
    {"resize", [](const KernelTable& t, DType d) { return has(t, d, &KernelTable::resize); }},
};

}  // namespace

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
    for (const Operation& known : kOperations) {
        if (operation == known.name) {
            const KernelTable* table = table_of(tier);
            while (table != nullptr && !known.has(*table, dtype)) {
                table = table->base;
            }
            return table != nullptr;
        }
    }
    throw std::invalid_argument("unknown operation '" + operation + "'");
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
