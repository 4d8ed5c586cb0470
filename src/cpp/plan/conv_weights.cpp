#include "plan/conv_weights.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert/convert.h"

namespace mobileinst {

ConvWeights::ConvWeights(const ConvSpec& spec, const float* weight, const float* bias, Tier tier,
                         Winograd winograd, DType dtype)
    : spec_(spec), tier_(tier), winograd_(winograd), dtype_(dtype) {
    const ConvKernels& kernels = conv_kernels(tier, spec.kind(), winograd, dtype);
    packed_ = AlignedBuffer(kernels.packed_size(spec));
    kernels.pack(spec, dtype == DType::Int8 ? quantised(weight).data() : weight, packed_.data());
    if (bias != nullptr) {
        bias_ = AlignedBuffer::of_floats(spec.out_channels);
        if (dtype == DType::Float32 || dtype == DType::Int8) {
            std::copy_n(bias, spec.out_channels, bias_.floats());
        } else {
            const size_t n = spec.out_channels;
            const Tensor converted = make_tensor(dtype, bias_.data(), 1, 1, n, n);
            convert_kernel(tier, DType::Float32, dtype)({float_matrix(bias, 1, n), converted}, 0, 1);
        }
    }
}

std::vector<float> ConvWeights::quantised(const float* weight) {
    const size_t outputs = spec_.out_channels, count = spec_.weight_count() / outputs;
    std::vector<float> whole(outputs * count);
    for (size_t channel = 0; channel < outputs; ++channel) {
        const float* from = weight + channel * count;
        float largest = 0.0f;
        for (size_t i = 0; i < count; ++i) {
            largest = std::max(largest, std::fabs(from[i]));
        }
        scales_.push_back(largest > 0.0f ? largest / 127.0f : 1.0f);
        sums_.push_back(0);
        for (size_t i = 0; i < count; ++i) {
            const float rounded = std::nearbyint(from[i] / scales_.back());
            whole[channel * count + i] = rounded;
            sums_.back() += static_cast<int32_t>(rounded);
        }
    }
    return whole;
}

}  // namespace mobileinst
