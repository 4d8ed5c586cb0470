#include "plan/conv_weights.h"

#include <algorithm>

namespace mobileinst {

ConvWeights::ConvWeights(const ConvSpec& spec, const float* weight, const float* bias, Tier tier,
                         Winograd winograd)
    : spec_(spec), tier_(tier), winograd_(winograd) {
    const ConvKernels& kernels = conv_kernels(tier, spec.kind(), winograd);
    packed_ = AlignedBuffer(kernels.packed_size(spec));
    kernels.pack(spec, weight, packed_.data());
    if (bias != nullptr) {
        bias_ = AlignedBuffer::of_floats(spec.out_channels);
        std::copy_n(bias, spec.out_channels, bias_.floats());
    }
}

}  // namespace mobileinst
