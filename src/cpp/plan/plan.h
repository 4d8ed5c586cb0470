#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/tensor.h"
#include "core/tier.h"
#include "plan/node.h"

namespace mobileinst {

/// A tensor of a plan: memory of its own, or a view of another's.
struct PlannedTensor {
    Tensor tensor;      ///< without memory
    TensorId root = 0;  ///< the tensor whose memory it lies in; itself if it has its own
    size_t offset = 0;  ///< bytes from the begin of the root's pixels to that of its own
    bool constant = false;
    bool kept = false, from_start = false;  ///< see PlanBuilder::keep
    AlignedBuffer values;                   ///< of a constant
};

/// Time and size of one node.
struct NodeProfile {
    std::string name, op;
    DType dtype;  ///< of its first input
    size_t height, width, channels;
    double milliseconds;  ///< of the last run
    uint64_t macs, bytes;
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
    size_t arena_bytes() const { return arena_.size(); }

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
