#include "plan/conv_weights.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/conv_direct/conv_direct.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"

namespace mobileinst {
namespace {

AlignedBuffer pack(const ConvSpec& spec, ConvKind kind, const float* weight, Tier tier) {
    const size_t in = spec.in_channels, out = spec.out_channels;
    switch (kind) {
        case ConvKind::Gemm: {
            const GemmKernels& kernels = gemm_kernels(tier);
            AlignedBuffer packed(kernels.packed_size(out, in));
            kernels.pack(weight, in, out, in, packed.data());
            return packed;
        }
        case ConvKind::Conv3x3: {
            const Conv3x3Kernels& kernels = conv3x3_kernels(tier, spec.winograd);
            AlignedBuffer packed(kernels.packed_size(in, out));
            kernels.pack(weight, in, out, packed.data());
            return packed;
        }
        case ConvKind::Depthwise: {
            const DepthwiseKernels& kernels = depthwise_kernels(tier);
            AlignedBuffer packed(kernels.packed_size(in, spec.kernel));
            kernels.pack(weight, in, spec.kernel, packed.data());
            return packed;
        }
        case ConvKind::Direct: {
            const ConvDirectKernels& kernels = conv_direct_kernels(tier);
            AlignedBuffer packed(kernels.packed_size(in, out, spec.kernel, spec.groups));
            kernels.pack(weight, in, out, spec.kernel, spec.groups, packed.data());
            return packed;
        }
    }
    throw std::logic_error("unknown kind of convolution");
}

}  // namespace

void ConvSpec::check() const {
    const bool positive = in_channels > 0 && out_channels > 0 && stride > 0 && groups > 0;
    if (!positive || kernel % 2 == 0 || in_channels % groups != 0 || out_channels % groups != 0) {
        throw std::invalid_argument(
            "convolution: expected an odd kernel, a stride of at least 1 and groups that divide the "
            "channels, got " +
            std::to_string(in_channels) + " -> " + std::to_string(out_channels) + " channels, kernel " +
            std::to_string(kernel) + ", stride " + std::to_string(stride) + ", " + std::to_string(groups) +
            " groups");
    }
}

ConvKind choose_kind(const ConvSpec& spec) {
    if (spec.groups == spec.in_channels && spec.groups == spec.out_channels && spec.groups > 1) {
        return ConvKind::Depthwise;
    }
    if (spec.groups == 1 && spec.stride == 1 && spec.kernel == 1) {
        return ConvKind::Gemm;
    }
    if (spec.groups == 1 && spec.stride == 1 && spec.kernel == 3) {
        return ConvKind::Conv3x3;
    }
    return ConvKind::Direct;
}

const char* kind_name(ConvKind kind) {
    switch (kind) {
        case ConvKind::Gemm:
            return "1x1";
        case ConvKind::Conv3x3:
            return "3x3";
        case ConvKind::Depthwise:
            return "depthwise";
        case ConvKind::Direct:
            return "direct";
    }
    return "unknown";
}

ConvWeights::ConvWeights(const ConvSpec& spec, const float* weight, const float* bias, Tier tier)
    : spec_(spec), kind_(choose_kind(spec)), tier_(tier) {
    spec.check();
    packed_ = pack(spec, kind_, weight, tier);
    if (bias != nullptr) {
        bias_ = AlignedBuffer(spec.out_channels);
        std::copy_n(bias, spec.out_channels, bias_.data());
    }
}

}  // namespace mobileinst
