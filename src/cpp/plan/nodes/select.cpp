#include "kernels/select/select.h"

#include <limits>

#include "plan/nodes.h"

namespace mobileinst {
namespace {

constexpr size_t kMaps = 4;  // of a level: kinds, objectness, boxes, features

/// The best places of all levels as the rows of y. Inputs are the maps of one level after the other.
class SelectNode final : public Node {
  public:
    SelectNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, kMaps, std::numeric_limits<size_t>::max()) {
        const auto number = [&](const char* name) { return static_cast<float>(spec.take<double>(name)); };
        size_t kinds = 0;
        for (const int64_t group : spec.take<std::vector<int64_t>>("groups")) {
            spec.expect(group > 0, "groups of at least one kind");
            args_.groups.push_back(static_cast<size_t>(group));
            kinds += args_.groups.back();
        }
        const auto candidates = spec.take<int64_t>("candidates");
        spec.expect(inputs().size() % kMaps == 0 && kinds > 0 && candidates > 0,
                    "levels of four maps, groups and candidates");
        args_.candidates = static_cast<size_t>(candidates);
        args_.overlap = number("overlap");
        args_.margin = number("margin");
        args_.window_scale = number("window_scale");
        args_.least_half = number("least_half");
        args_.features = tensors[inputs()[kMaps - 1]].channels;
        args_.levels.resize(inputs().size() / kMaps);
        for (size_t i = 0; i < inputs().size(); i += kMaps) {
            check_level(tensors[inputs()[i]], tensors[inputs()[i + 1]], tensors[inputs()[i + 2]],
                        tensors[inputs()[i + 3]], kinds);
        }
        const Tensor& y = tensors[output()];
        expect(y.channels == args_.output_channels(), "an output that holds a selected place", {y});
    }

    void bind(const std::vector<Tensor>& tensors) override {
        for (size_t i = 0; i < args_.levels.size(); ++i) {
            const TensorId* ids = inputs().data() + i * kMaps;
            const auto map = [&](size_t j) { return Map<const float>(tensors[ids[j]]); };
            args_.levels[i] = {map(0), map(1), map(2), map(3)};
        }
        args_.output = Map<float>(tensors[output()]);
        scratch_ = SelectScratch(args_);
    }

    void run(const Workers& workers) const override {
        workers.pool.run(1, 1, 1, [&](size_t, size_t, size_t) { select_places(args_, scratch_); });
    }

  private:
    void check_level(const Tensor& kinds, const Tensor& objectness, const Tensor& boxes,
                     const Tensor& features, size_t channels) const {
        const size_t places = kinds.pixels();
        expect(kinds.channels == channels && objectness.channels == 1 && boxes.channels == 4 &&
                   features.channels == args_.features && objectness.pixels() == places &&
                   boxes.pixels() == places && features.pixels() == places,
               "kinds, objectness, boxes and features of the same places",
               {kinds, objectness, boxes, features});
    }

    SelectArgs args_;
    mutable SelectScratch scratch_;  // a plan is run by one thread at a time
};

}  // namespace

std::unique_ptr<Node> make_select_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<SelectNode>(spec, tensors);
}

}  // namespace mobileinst
