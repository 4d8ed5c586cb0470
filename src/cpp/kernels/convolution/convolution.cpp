#include "kernels/convolution/convolution.h"

#include <stdexcept>
#include <string>

#include "kernels/conv3x3/conv3x3.h"
#include "kernels/kernel_table.h"

namespace mobileinst {

ConvSpec ConvSpec::of(const std::vector<size_t>& weight_shape, size_t stride, size_t groups) {
    const size_t outputs = weight_shape[0], inputs = weight_shape[1], kernel = weight_shape[2];
    if (outputs * inputs == 0 || kernel != weight_shape[3] || kernel % 2 == 0 || stride == 0 || groups == 0 ||
        outputs % groups != 0) {
        std::string shape;
        for (const size_t extent : weight_shape) {
            shape += (shape.empty() ? "" : ", ") + std::to_string(extent);
        }
        throw std::invalid_argument(
            "weight: expected shape (out, in / groups, k, k) with odd k, a stride of at least 1 and groups "
            "that "
            "divide the channels, got (" +
            shape + "), stride " + std::to_string(stride) + ", " + std::to_string(groups) + " groups");
    }
    return {inputs * groups, outputs, kernel, stride, groups};
}

ConvKind ConvSpec::kind() const {
    if (groups == in_channels && groups == out_channels && groups > 1) {
        return ConvKind::Depthwise;
    }
    if (groups == 1 && stride == 1 && kernel == 1) {
        return ConvKind::Gemm;
    }
    if (groups == 1 && stride == 1 && kernel == 3) {
        return ConvKind::Conv3x3;
    }
    return ConvKind::Direct;
}

bool ConvSpec::maps(const Tensor& x, const Tensor& y) const {
    return x.channels == in_channels && y.channels == out_channels && y.height == strided(x.height) &&
           y.width == strided(x.width);
}

const char* kind_name(ConvKind kind) {
    switch (kind) {
        case ConvKind::Gemm:
            return "gemm";
        case ConvKind::Conv3x3:
            return "conv3x3";
        case ConvKind::Depthwise:
            return "depthwise";
        case ConvKind::Direct:
            return "conv_direct";
    }
    return "unknown";
}

const ConvKernels& conv_kernels(Tier tier, ConvKind kind, Winograd winograd, DType dtype) {
    switch (kind) {
        case ConvKind::Gemm:
            return kernels_of(tier, &KernelTable::gemm, dtype);
        case ConvKind::Conv3x3:
            return conv3x3_kernels(tier, winograd, dtype);
        case ConvKind::Depthwise:
            return kernels_of(tier, &KernelTable::depthwise, dtype);
        case ConvKind::Direct:
            return kernels_of(tier, &KernelTable::conv_direct, dtype);
    }
    throw std::logic_error("unknown kind of convolution");
}

}  // namespace mobileinst
