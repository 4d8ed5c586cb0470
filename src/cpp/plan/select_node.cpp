#include "plan/select_node.h"

#include <utility>

#include "kernels/select/select.h"

namespace mobileinst {
namespace {

std::vector<TensorId> all_of(const std::vector<SelectInputs>& levels) {
    std::vector<TensorId> ids;
    for (const SelectInputs& level : levels) {
        ids.insert(ids.end(), {level.kinds, level.objectness, level.boxes, level.features});
    }
    return ids;
}

class SelectNode final : public Node {
  public:
    SelectNode(std::string name, std::vector<SelectInputs> levels, SelectChoice choice, TensorId y)
        : Node(std::move(name), "select", all_of(levels), y), levels_(std::move(levels)) {
        args_.groups = std::move(choice.groups);
        args_.candidates = choice.candidates;
        args_.overlap = choice.overlap;
        args_.margin = choice.margin;
        args_.window_scale = choice.window_scale;
        args_.least_half = choice.least_half;
    }

    void bind(const std::vector<Tensor>& tensors) override {
        args_.levels.clear();
        for (const SelectInputs& ids : levels_) {
            const Tensor &kinds = tensors[ids.kinds], &objectness = tensors[ids.objectness];
            const Tensor &boxes = tensors[ids.boxes], &features = tensors[ids.features];
            args_.levels.push_back({kinds.data, kinds.ld, objectness.data, objectness.ld, boxes.data,
                                    boxes.ld, features.data, features.ld, kinds.pixels()});
            args_.features = features.channels;
        }
        const Tensor& y = tensors[output()];
        args_.output = y.data;
        args_.output_ld = y.ld;
        args_.count = y.pixels();
        scratch_ = SelectScratch(args_);
    }

    void run(const Workers& workers) const override {
        workers.pool.run(1, 1, 1, [&](size_t, size_t, size_t) { select_places(args_, scratch_); });
    }

  private:
    std::vector<SelectInputs> levels_;
    SelectArgs args_;
    mutable SelectScratch scratch_;  // a plan is run by one thread at a time
};

}  // namespace

std::unique_ptr<Node> make_select_node(std::string name, std::vector<SelectInputs> levels,
                                       SelectChoice choice, TensorId y) {
    return std::make_unique<SelectNode>(std::move(name), std::move(levels), std::move(choice), y);
}

}  // namespace mobileinst
