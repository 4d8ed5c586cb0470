#include "plan/node.h"

#include <stdexcept>

namespace mobileinst {
namespace {

std::string shape_of(const Tensor& tensor) {
    return "(" + std::to_string(tensor.height) + ", " + std::to_string(tensor.width) + ", " +
           std::to_string(tensor.channels) + ")";
}

}  // namespace

void NodeSpec::expect(bool fits, const std::string& what) const {
    if (!fits) {
        throw std::invalid_argument(name + ": expected " + what);
    }
}

Node::Node(const NodeSpec& spec, std::string op, size_t fewest, size_t most)
    : Node(spec.name, std::move(op), spec.inputs, spec.output) {
    spec.expect(fewest <= inputs_.size() && inputs_.size() <= most,
                (fewest == most ? "" : std::to_string(fewest) + " to ") + std::to_string(most) +
                    " inputs, got " + std::to_string(inputs_.size()));
}

void Node::expect(bool fits, const char* what, std::initializer_list<Tensor> given) const {
    if (fits) {
        return;
    }
    std::string text = name_ + ": expected " + what;
    const char* separator = ", got ";
    for (const Tensor& tensor : given) {
        text += separator + shape_of(tensor);
        separator = ", ";
    }
    throw std::invalid_argument(text);
}

}  // namespace mobileinst
