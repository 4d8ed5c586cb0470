#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "core/thread_pool.h"
#include "plan/node_spec.h"
#include "plan/row_wise.h"

namespace mobileinst {

/// Threads and their scratch memory, while a plan runs.
struct Workers {
    ThreadPool& pool;
    void* scratch;
    size_t scratch_stride;  ///< bytes from one thread's scratch to the next

    void* scratch_of(size_t thread) const { return static_cast<char*>(scratch) + thread * scratch_stride; }

    /// Ranges to split work into: enough to balance threads, none so small that handing it over costs more.
    /// `macs` is the whole work, `per_thread` how many ranges a thread may get.
    size_t chunks(uint64_t macs, size_t per_thread) const {
        constexpr uint64_t kSmallest = 1 << 15;
        const size_t most = pool.threads() == 1 ? 1 : pool.ranges(per_thread);
        const uint64_t worth = macs / kSmallest + 1;
        return worth < most ? static_cast<size_t>(worth) : most;
    }

    /// The same for rows whose ranges compute some rows of their neighbours again: one range a thread, more
    /// only while each keeps enough rows of its own.
    size_t chunks_of_rows(uint64_t macs, size_t rows) const {
        constexpr size_t kFewest = 8;
        return std::min(chunks(macs, 1), std::max(pool.threads(), rows / kFewest));
    }
};

/// Memory traffic of a tensor counted as multiply-adds, for Workers::chunks.
inline uint64_t traffic(const Tensor& tensor) { return uint64_t{tensor.pixels()} * tensor.channels * 4; }

inline bool same_shape(const Tensor& a, const Tensor& b) {
    return a.height == b.height && a.width == b.width && a.channels == b.channels;
}

/// One operation of a plan. Built with tensor numbers, bound to memory, then run many times. Constructors
/// throw std::invalid_argument, naming the node and the shapes, if the tensors don't fit.
class Node {
  public:
    /// `op` is what profiles call the operation.
    Node(std::string name, std::string op, std::vector<TensorId> inputs, TensorId output)
        : name_(std::move(name)), op_(std::move(op)), inputs_(std::move(inputs)), output_(output) {}
    /// Throws std::invalid_argument unless there are `fewest` to `most` inputs.
    Node(const NodeSpec& spec, std::string op, size_t fewest, size_t most);
    virtual ~Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    const std::string& name() const { return name_; }
    const std::string& op() const { return op_; }
    const std::vector<TensorId>& inputs() const { return inputs_; }
    TensorId output() const { return output_; }

    /// Whether the output may be written over that input.
    virtual bool in_place(TensorId /*input*/) const { return false; }
    /// Resolves tensor numbers to memory, or to shapes only as long as it does not run.
    virtual void bind(const std::vector<Tensor>& tensors) = 0;
    /// Bytes of scratch that each thread needs, once bound.
    virtual size_t scratch_size() const { return 0; }
    /// Multiply-adds of one run, once bound; 0 for operations that only move or compare.
    virtual uint64_t macs() const { return 0; }
    /// Bytes of parameters read.
    virtual uint64_t parameter_bytes() const { return 0; }
    virtual void run(const Workers& workers) const = 0;
    /// Itself row by row, or null if it can't.
    virtual const RowWise* row_wise() const { return nullptr; }

  protected:
    /// Throws std::invalid_argument "<name>: expected <what>, got <shapes>" unless it fits.
    void expect(bool fits, const char* what, std::initializer_list<Tensor> given) const;

  private:
    std::string name_, op_;
    std::vector<TensorId> inputs_;
    TensorId output_;
};

}  // namespace mobileinst
