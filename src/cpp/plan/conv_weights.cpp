#include "plan/conv_weights.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/conv_direct/conv_direct.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"

namespace mobileinst {
namespace {

AlignedBuffer pack(const ConvSpec& spec, const float* weight, Tier tier, Winograd winograd) {
    const size_t in = spec.in_channels, out = spec.out_channels;
    switch (spec.kind()) {
        case ConvKind::Gemm: {
            const GemmKernels& kernels = gemm_kernels(tier);
            AlignedBuffer packed(kernels.packed_size(out, in));
            kernels.pack(weight, in, out, in, packed.data());
            return packed;
        }
        case ConvKind::Conv3x3: {
            const Conv3x3Kernels& kernels = conv3x3_kernels(tier, winograd);
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

ConvWeights::ConvWeights(const ConvSpec& spec, const float* weight, const float* bias, Tier tier,
                         Winograd winograd)
    : spec_(spec), tier_(tier), winograd_(winograd), packed_(pack(spec, weight, tier, winograd)) {
    if (bias != nullptr) {
        bias_ = AlignedBuffer(spec.out_channels);
        std::copy_n(bias, spec.out_channels, bias_.data());
    }
}

}  // namespace mobileinst
