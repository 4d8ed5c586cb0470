#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "plan/node_spec.h"
#include "plan/plan.h"

namespace mobileinst {

/// Collects tensors and nodes. Every method throws std::invalid_argument if what it is given does not fit.
class PlanBuilder {
  public:
    explicit PlanBuilder(Tier tier) : tier_(tier) {}

    TensorId tensor(size_t height, size_t width, size_t channels, DType dtype = DType::Float32,
                    Quantisation quantisation = {});
    /// Tokens (count, channels) that never change, converted to the type.
    TensorId constant(size_t count, size_t channels, const float* values, DType dtype = DType::Float32,
                      Quantisation quantisation = {});
    /// Channels [offset, offset + channels) of a tensor, whose integers may have a quantisation of their own.
    TensorId slice(TensorId tensor, size_t offset, size_t channels,
                   const std::optional<Quantisation>& quantisation = std::nullopt);
    /// The same pixels as another grid.
    TensorId reshape(TensorId tensor, size_t height, size_t width);
    /// The tensor's memory holds its values until the plan runs again; `from_start`: it is never shared at
    /// all.
    void keep(TensorId tensor, bool from_start);

    /// Adds the node that the spec describes, which runs after those added before; the tier is filled in.
    void add(NodeSpec spec);
    /// Nodes from here on belong to the next section; sections are run one by one.
    void next_section() { section_ends_.push_back(nodes_.size()); }

    /// Plans the memory; the builder is empty afterwards.
    std::unique_ptr<Plan> build(std::shared_ptr<ThreadPool> pool);

  private:
    TensorId view(TensorId of, size_t height, size_t width, size_t offset, size_t channels);
    const Tensor& at(TensorId tensor) const;

    Tier tier_;
    std::vector<PlannedTensor> tensors_;
    std::vector<Tensor> shapes_;  ///< of the same tensors, without memory
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<size_t> section_ends_;
};

}  // namespace mobileinst
