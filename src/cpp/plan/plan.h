#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/activation.h"
#include "core/aligned_buffer.h"
#include "core/tensor.h"
#include "core/tier.h"
#include "kernels/elementwise/elementwise.h"
#include "plan/axial_attention_node.h"
#include "plan/conv_weights.h"
#include "plan/node.h"
#include "plan/select_node.h"

namespace mobileinst {

/// A tensor of a plan: memory of its own, or a view of another's.
struct PlannedTensor {
    size_t height = 0, width = 0, channels = 0;
    TensorId root = 0;  ///< the tensor whose memory it lies in; itself if it has its own
    size_t offset = 0;  ///< first channel within the root's pixels
    bool constant = false;
    bool kept = false, from_start = false;  ///< see PlanBuilder::keep
    AlignedBuffer values;                   ///< of a constant

    size_t pixels() const { return height * width; }
};

/// Time and size of one node.
struct NodeProfile {
    std::string name, op;
    size_t height, width, channels;
    double milliseconds;  ///< of the last run
    uint64_t macs, bytes;
};

class Plan;

/// Collects tensors and nodes. Every method throws std::invalid_argument, naming the node and the shapes, if
/// they do not fit.
class PlanBuilder {
  public:
    explicit PlanBuilder(Tier tier) : tier_(tier) {}

    TensorId tensor(size_t height, size_t width, size_t channels);
    TensorId constant(size_t height, size_t width, size_t channels, const float* values);
    /// Channels [offset, offset + channels) of a tensor.
    TensorId slice(TensorId tensor, size_t offset, size_t channels);
    /// The same pixels as another grid.
    TensorId reshape(TensorId tensor, size_t height, size_t width);
    /// The tensor's memory holds its values until the plan runs again; `from_start`: it is never shared at
    /// all.
    void keep(TensorId tensor, bool from_start);

    void conv(const std::string& name, TensorId x, const std::shared_ptr<const ConvWeights>& weights,
              TensorId y, Activation activation, std::optional<TensorId> residual);
    /// By XNNPACK's operator, which packs `weight` (out, in / groups, kernel, kernel) and `bias` (out,) or
    /// null itself. Throws std::runtime_error if XNNPACK is not in this build or can't run here.
    void xnnpack_conv(const std::string& name, TensorId x, const ConvSpec& spec, const float* weight,
                      const float* bias, TensorId y, Activation activation);
    /// `expand` may be null; the activation follows expansion and depthwise convolution.
    void inverted_residual(const std::string& name, TensorId x,
                           const std::shared_ptr<const ConvWeights>& expand,
                           const std::shared_ptr<const ConvWeights>& depthwise,
                           const std::shared_ptr<const ConvWeights>& project, TensorId y,
                           Activation activation, std::optional<TensorId> residual);
    void elementwise(const std::string& name, ElementwiseOp op, TensorId a, std::optional<TensorId> b,
                     std::optional<TensorId> c, TensorId y, Activation activation);
    void resize(const std::string& name, TensorId x, std::optional<TensorId> local,
                std::optional<TensorId> shift, TensorId y, Activation activation);
    /// Adaptive, or of an odd `window` around each pixel if that is not 0.
    void pool(const std::string& name, bool average, TensorId x, TensorId y, size_t window);
    /// Rows of `y` from the best places of all levels.
    void select(const std::string& name, std::vector<SelectInputs> levels, SelectChoice choice, TensorId y);
    void layer_norm(const std::string& name, TensorId x, AlignedBuffer weight, AlignedBuffer bias, float eps,
                    TensorId y);
    void attention(const std::string& name, TensorId q, TensorId k, TensorId v, size_t heads, float scale,
                   TensorId y, Activation activation);

    /// Squeezed axial attention of maps; positions are interpolated to the sides of the maps already.
    void axial_attention(const std::string& name, TensorId q, TensorId k, TensorId v, size_t heads,
                         float scale, AxialParameters rows, AxialParameters columns, TensorId y);

    /// Nodes from here on belong to the next section; sections are run one by one.
    void next_section() { section_ends_.push_back(nodes_.size()); }

    /// Plans the memory; the builder is empty afterwards.
    std::unique_ptr<Plan> build(std::shared_ptr<ThreadPool> pool);

    const PlannedTensor& at(TensorId tensor) const;

  private:
    TensorId add(PlannedTensor tensor);
    std::string shape(TensorId tensor) const;
    void expect(bool fits, const std::string& name, const char* what,
                std::initializer_list<TensorId> tensors) const;
    void expect_conv(const std::string& name, TensorId x, const ConvSpec& spec, TensorId y) const;
    bool same_shape(TensorId a, TensorId b) const;
    void push(std::unique_ptr<Node> node);

    Tier tier_;
    std::vector<PlannedTensor> tensors_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<size_t> section_ends_;
};

/// Nodes over one arena, ready to run. Running allocates nothing. Not for use by two threads at once, except
/// that callers who hold mutex() take turns.
class Plan {
  public:
    Plan(Tier tier, std::vector<PlannedTensor> tensors, std::vector<std::unique_ptr<Node>> nodes,
         std::vector<size_t> section_ends, std::shared_ptr<ThreadPool> pool);

    Tier tier() const { return tier_; }
    size_t sections() const { return section_ends_.size(); }
    void run(size_t section);

    /// Where a tensor lies; throws std::invalid_argument if there is none of that number.
    const Tensor& tensor(TensorId id) const;

    ThreadPool& pool() { return *pool_; }
    std::mutex& mutex() { return pool_->mutex(); }

    std::vector<NodeProfile> profile() const;
    size_t arena_bytes() const { return arena_.size() * sizeof(float); }

  private:
    void chain_nodes();
    void place_tensors();

    Tier tier_;
    std::vector<PlannedTensor> planned_;
    std::vector<Tensor> tensors_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<double> milliseconds_;
    std::vector<size_t> section_ends_;
    std::shared_ptr<ThreadPool> pool_;
    AlignedBuffer arena_, scratch_;
    size_t scratch_stride_ = 0;
};

}  // namespace mobileinst
