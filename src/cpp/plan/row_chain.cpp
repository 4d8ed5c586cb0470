#include "plan/row_chain.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "core/aligned_buffer.h"
#include "plan/row_wise.h"

namespace mobileinst {
namespace {

constexpr size_t kMost = 8;  // nodes of a chain
/// Each range computes a few rows of every map again that its neighbour has; with fewer of its own than
/// these that costs more than the chain saves.
constexpr size_t kRowsPerRange = 32;

using Links = std::vector<std::unique_ptr<Node>>;

std::string joined_names(const Links& links) {
    std::string names;
    for (const auto& link : links) {
        names += (names.empty() ? "" : " + ") + link->name();
    }
    return names;
}

/// Bytes of the ring between a node and the one that reads it.
size_t ring_size(const Tensor& between, const RowWise& reader) {
    return whole_cache_lines(reader.window() * between.width * between.stride);
}

size_t scratch_of(const Node& node) { return whole_cache_lines(node.scratch_size()); }

/// Nodes that run one row at a time: a row of the last is computed as soon as the rows that it sees are
/// there.
class RowChain final : public Node {
  public:
    explicit RowChain(Links links)
        : Node(joined_names(links), "row_chain", links.front()->inputs(), links.back()->output()),
          links_(std::move(links)) {}

    void bind(const std::vector<Tensor>& tensors) override {
        size_t bytes = 0;
        for (size_t i = 0; i < links_.size(); ++i) {
            links_[i]->bind(tensors);
            outputs_[i] = tensors[links_[i]->output()];
            scratch_[i] = bytes;
            bytes += scratch_of(*links_[i]);
            if (i + 1 < links_.size()) {
                rings_[i] = bytes;
                bytes += ring_size(outputs_[i], rows(i + 1));
            }
        }
        bytes_ = bytes;
        input_ = tensors[links_.front()->inputs().front()];
    }

    size_t scratch_size() const override { return bytes_; }

    uint64_t macs() const override { return sum(&Node::macs); }
    uint64_t parameter_bytes() const override { return sum(&Node::parameter_bytes); }

    void run(const Workers& workers) const override {
        workers.pool.run(outputs_[links_.size() - 1].height, 1, workers.chunks(macs(), 1),
                         [&](size_t begin, size_t end, size_t thread) {
                             run_range(begin, end, static_cast<char*>(workers.scratch_of(thread)));
                         });
    }

  private:
    /// How far each node has come within a range.
    struct Progress {
        std::array<size_t, kMost> begin{}, next{};
    };

    uint64_t sum(uint64_t (Node::*part)() const) const {
        uint64_t total = 0;
        for (const auto& link : links_) {
            total += (*link.*part)();
        }
        return total;
    }

    void run_range(size_t begin, size_t end, char* memory) const {
        Progress progress;
        const size_t last = links_.size() - 1;
        progress.begin[last] = begin;
        for (size_t i = last; i > 0; --i) {
            const size_t top = progress.begin[i] * rows(i).row_stride(), above = rows(i).window() / 2;
            progress.begin[i - 1] = top < above ? 0 : top - above;
        }
        progress.next = progress.begin;
        advance(last, end, memory, progress);
    }

    /// Computes the rows of node i below `end` that are not there yet.
    void advance(size_t i, size_t end, char* memory, Progress& progress) const {
        const RowWise& link = rows(i);
        const Rows output = rows_of(i, memory);
        const Rows input = i == 0 ? Rows{input_.data, {}} : rows_of(i - 1, memory);
        for (size_t& row = progress.next[i]; row < end; ++row) {
            if (i > 0) {
                const size_t seen = row * link.row_stride() + (link.window() + 1) / 2;
                advance(i - 1, std::min(outputs_[i - 1].height, seen), memory, progress);
            }
            link.run_row(row, input, output, memory + scratch_[i], row > progress.begin[i]);
        }
    }

    Rows rows_of(size_t i, char* memory) const {
        if (i + 1 == links_.size()) {
            return {outputs_[i].data, {}};
        }
        return {memory + rings_[i], {rows(i + 1).window()}};
    }

    const RowWise& rows(size_t i) const { return *links_[i]->row_wise(); }

    Links links_;
    Tensor input_;
    std::array<Tensor, kMost> outputs_;
    std::array<size_t, kMost> scratch_{}, rings_{};
    size_t bytes_ = 0;
};

/// How many nodes read each tensor.
std::vector<size_t> count_readers(const std::vector<std::unique_ptr<Node>>& nodes, size_t tensors) {
    std::vector<size_t> readers(tensors, 0);
    for (const auto& node : nodes) {
        const std::vector<TensorId>& inputs = node->inputs();
        for (auto input = inputs.begin(); input != inputs.end(); ++input) {
            readers[*input] += std::find(inputs.begin(), input, *input) == input ? 1 : 0;
        }
    }
    return readers;
}

/// Finds which nodes to join.
class Finder {
  public:
    Finder(const std::vector<std::unique_ptr<Node>>& nodes, const ChainInput& input)
        : nodes_(nodes),
          input_(input),
          readers_(count_readers(nodes, input.shapes.size())),
          cache_(second_cache_bytes(input.tier)) {}

    /// How many of the nodes [first, end) become one, the first included.
    size_t length(size_t first, size_t end) const {
        size_t last = first, bytes = scratch_of(*nodes_[first]);
        while (last + 1 < end && last + 1 - first < kMost && joins(*nodes_[last], *nodes_[last + 1])) {
            const Node& reader = *nodes_[last + 1];
            bytes += scratch_of(reader) + ring_size(shape(nodes_[last]->output()), *reader.row_wise());
            if (bytes > cache_) {
                break;
            }
            ++last;
        }
        return last + 1 - first;
    }

  private:
    const Tensor& shape(TensorId tensor) const { return input_.shapes[tensor]; }

    bool joins(const Node& writer, const Node& reader) const {
        const TensorId between = writer.output();
        const RowWise *from = writer.row_wise(), *to = reader.row_wise();
        const auto is_between = [&](TensorId tensor) { return tensor == between; };
        return from != nullptr && to != nullptr && from->writes_ring() && to->reads_ring() &&
               std::all_of(reader.inputs().begin(), reader.inputs().end(), is_between) &&
               input_.own[between] && readers_[between] == 1 && shape(between).bytes() > cache_ / 2 &&
               shape(reader.output()).height >= kRowsPerRange * input_.ranges;
    }

    const std::vector<std::unique_ptr<Node>>& nodes_;
    const ChainInput& input_;
    const std::vector<size_t> readers_;
    const size_t cache_;
};

}  // namespace

void chain_rows(std::vector<std::unique_ptr<Node>>& nodes, const ChainInput& input) {
    for (const auto& node : nodes) {
        node->bind(input.shapes);
    }
    const Finder finder(nodes, input);
    std::vector<std::unique_ptr<Node>> joined;
    size_t first = 0;
    for (size_t& section_end : input.section_ends) {
        const size_t end = section_end;
        while (first < end) {
            const size_t length = finder.length(first, end);
            Links links;
            std::move(nodes.begin() + first, nodes.begin() + first + length, std::back_inserter(links));
            first += length;
            joined.push_back(length == 1 ? std::move(links.front())
                                         : std::make_unique<RowChain>(std::move(links)));
        }
        section_end = joined.size();
    }
    nodes = std::move(joined);
}

}  // namespace mobileinst
