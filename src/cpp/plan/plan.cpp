#include "plan/plan.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <new>
#include <stdexcept>

#include "plan/layout.h"
#include "plan/row_chain.h"
#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

constexpr size_t kNever = SIZE_MAX;

/// Bytes of a tensor's elements.
uint64_t touched(const Tensor& tensor) {
    return uint64_t{tensor.pixels()} * tensor.channels * size_of(tensor.dtype);
}

/// When the memory of each tensor that owns some is in use, and which tensors are written over others.
class Lifetimes {
  public:
    Lifetimes(const std::vector<PlannedTensor>& tensors, const std::vector<std::unique_ptr<Node>>& nodes)
        : tensors_(tensors),
          first_(tensors.size(), kNever),
          last_(tensors.size(), 0),
          owner_(tensors.size()) {
        for (TensorId id = 0; id < tensors.size(); ++id) {
            owner_[id] = id;
        }
        for (size_t i = 0; i < nodes.size(); ++i) {
            use(nodes[i]->output(), i);
            for (const TensorId input : nodes[i]->inputs()) {
                use(input, i);
            }
        }
        for (TensorId id = 0; id < tensors.size(); ++id) {
            if (tensors[id].kept) {
                const TensorId root = tensors[id].root;
                last_[root] = nodes.size();
                first_[root] = tensors[id].from_start ? 0 : std::min(first_[root], nodes.size());
            }
        }
        for (size_t i = 0; i < nodes.size(); ++i) {
            share(*nodes[i], i);
        }
    }

    /// The tensor whose block holds this root's values.
    TensorId owner(TensorId root) const { return owner_[root]; }
    bool used(TensorId root) const { return first_[root] != kNever; }
    Block block(TensorId root) const { return {tensors_[root].tensor.bytes(), first_[root], last_[root]}; }

  private:
    void use(TensorId id, size_t node) {
        const TensorId root = tensors_[id].root;
        first_[root] = std::min(first_[root], node);
        last_[root] = std::max(last_[root], node);
    }

    /// Whether the node also reads the block through an input that it may not write over.
    bool read_otherwise(const Node& node, TensorId block) const {
        for (const TensorId input : node.inputs()) {
            if (owner_[tensors_[input].root] == block && !node.in_place(input)) {
                return true;
            }
        }
        return false;
    }

    /// Lets a node write over an input that nobody reads later.
    void share(const Node& node, size_t index) {
        const TensorId output = node.output();
        if (tensors_[output].root != output || first_[output] != index || owner_[output] != output) {
            return;
        }
        for (const TensorId input : node.inputs()) {
            const TensorId root = tensors_[input].root, block = owner_[root];
            const Tensor &from = tensors_[root].tensor, &to = tensors_[output].tensor;
            const bool same = from.channels == tensors_[input].tensor.channels &&
                              from.channels == to.channels && from.dtype == to.dtype &&
                              from.pixels() == to.pixels();
            if (node.in_place(input) && same && !tensors_[root].constant && last_[block] == index &&
                !read_otherwise(node, block)) {
                owner_[output] = block;
                last_[block] = last_[output];
                return;
            }
        }
    }

    const std::vector<PlannedTensor>& tensors_;
    std::vector<size_t> first_, last_;
    std::vector<TensorId> owner_;
};

}  // namespace

Plan::Plan(Tier tier, std::vector<PlannedTensor> tensors, std::vector<std::unique_ptr<Node>> nodes,
           std::vector<size_t> section_ends, std::shared_ptr<ThreadPool> pool)
    : tier_(tier),
      planned_(std::move(tensors)),
      tensors_(planned_.size()),
      nodes_(std::move(nodes)),
      section_ends_(std::move(section_ends)),
      pool_(std::move(pool)) {
    chain_nodes();
    milliseconds_.resize(nodes_.size());
    place_tensors();
    for (const auto& node : nodes_) {
        node->bind(tensors_);
        scratch_stride_ = std::max(scratch_stride_, whole_cache_lines(node->scratch_size()));
    }
    if (scratch_stride_ > SIZE_MAX / pool_->threads()) {
        throw std::bad_alloc();
    }
    scratch_ = AlignedBuffer(scratch_stride_ * pool_->threads());
}

void Plan::chain_nodes() {
    std::vector<bool> own(planned_.size());
    for (TensorId id = 0; id < planned_.size(); ++id) {
        const PlannedTensor& tensor = planned_[id];
        tensors_[id] = tensor.tensor;
        own[id] = tensor.root == id && !tensor.constant && !tensor.kept;
        if (tensor.root != id) {
            own[tensor.root] = false;
        }
    }
    chain_rows(nodes_, {tier_, pool_->ranges(1), tensors_, own, section_ends_});
}

void Plan::place_tensors() {
    const Lifetimes lifetimes(planned_, nodes_);
    std::vector<Block> blocks;
    std::vector<size_t> block_of(planned_.size());
    for (TensorId id = 0; id < planned_.size(); ++id) {
        if (planned_[id].root == id && !planned_[id].constant && lifetimes.used(id) &&
            lifetimes.owner(id) == id) {
            block_of[id] = blocks.size();
            blocks.push_back(lifetimes.block(id));
        }
    }
    const Layout layout = lay_out(blocks);
    arena_ = AlignedBuffer(layout.bytes + xnnpack::kReadAhead);
    for (TensorId id = 0; id < planned_.size(); ++id) {
        PlannedTensor& tensor = planned_[id];
        PlannedTensor& root = planned_[tensor.root];
        void* data = nullptr;
        if (root.constant) {
            data = root.values.data();
        } else if (lifetimes.used(tensor.root)) {
            data = static_cast<char*>(arena_.data()) + layout.offsets[block_of[lifetimes.owner(tensor.root)]];
        }
        tensors_[id] = tensor.tensor;
        tensors_[id].data = data == nullptr ? nullptr : static_cast<char*>(data) + tensor.offset;
    }
}

void Plan::run(size_t section) {
    if (section >= section_ends_.size()) {
        throw std::invalid_argument("section: expected less than " + std::to_string(section_ends_.size()) +
                                    ", got " + std::to_string(section));
    }
    const Workers workers{*pool_, scratch_.data(), scratch_stride_};
    auto before = std::chrono::steady_clock::now();
    for (size_t i = section == 0 ? 0 : section_ends_[section - 1]; i < section_ends_[section]; ++i) {
        nodes_[i]->run(workers);
        const auto now = std::chrono::steady_clock::now();
        milliseconds_[i] = std::chrono::duration<double, std::milli>(now - before).count();
        before = now;
    }
}

const Tensor& Plan::tensor(TensorId id) const {
    if (id >= tensors_.size() || tensors_[id].data == nullptr) {
        throw std::invalid_argument("tensor " + std::to_string(id) +
                                    ": this plan has none of that number in use");
    }
    return tensors_[id];
}

std::vector<NodeProfile> Plan::profile() const {
    std::vector<NodeProfile> all;
    for (size_t i = 0; i < nodes_.size(); ++i) {
        const Node& node = *nodes_[i];
        const Tensor& y = tensors_[node.output()];
        uint64_t bytes = touched(y);
        for (const TensorId input : node.inputs()) {
            bytes += touched(tensors_[input]);
        }
        all.push_back({node.name(), node.op(), tensors_[node.inputs().front()].dtype, y.height, y.width,
                       y.channels, milliseconds_[i], node.macs(), bytes + node.parameter_bytes()});
    }
    return all;
}

}  // namespace mobileinst
