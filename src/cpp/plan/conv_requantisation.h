#pragma once

#include <optional>
#include <vector>

#include "core/activation.h"
#include "kernels/convolution/requantisation.h"
#include "plan/conv_weights.h"

namespace mobileinst {

/// The arrays behind the Requantisation of an int8 convolution.
class ConvRequantisation {
  public:
    ConvRequantisation() = default;
    /// From tensors of which only types and quantisations count; `residual` may be null. `sums` is what the
    /// argument of an activation beyond limits is rounded to before its table is asked. Throws
    /// std::invalid_argument if such an activation has none and its outputs are integers.
    ConvRequantisation(const ConvWeights& weights, Activation activation, const Tensor& x, const Tensor& y,
                       const Tensor* residual, const std::optional<Quantisation>& sums);

    /// Valid as long as this lives.
    Requantisation view() const;

  private:
    void fill_table(Activation activation, Quantisation from, Quantisation to);

    std::vector<int32_t> offset_;
    std::vector<float> scale_, shift_;
    std::vector<int8_t> table_;
    Requantisation values_;
};

}  // namespace mobileinst
