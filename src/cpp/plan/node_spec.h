#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/activation.h"
#include "core/aligned_buffer.h"
#include "core/dtype.h"
#include "core/tier.h"
#include "plan/conv_weights.h"

namespace mobileinst {

/// Number of a tensor within a plan.
using TensorId = size_t;

/// An array among the attributes of a node.
struct FloatArrayAttribute {
    std::vector<size_t> shape;
    AlignedBuffer values;
};

using Attribute = std::variant<int64_t, double, std::vector<int64_t>, FloatArrayAttribute,
                               std::shared_ptr<const ConvWeights>>;

/// What a node is made from: its operation, its name in the network, tensors by number, and attributes, whose
/// names and types depend on the operation.
struct NodeSpec {
    std::string op, name;
    std::vector<TensorId> inputs;
    TensorId output = 0;
    Activation activation = Activation::None;
    std::map<std::string, Attribute> attributes;
    Tier tier = Tier::Ref;         ///< of the plan
    DType dtype = DType::Float32;  ///< of the output

    /// Removes an attribute and returns it, or nothing. Throws std::invalid_argument if it has another type;
    /// whole numbers are numbers, too.
    template <typename T>
    std::optional<T> take_optional(const char* attribute) {
        const auto found = attributes.find(attribute);
        if (found == attributes.end()) {
            return std::nullopt;
        }
        if constexpr (std::is_same_v<T, double>) {
            if (const int64_t* whole = std::get_if<int64_t>(&found->second)) {
                found->second = static_cast<double>(*whole);
            }
        }
        T* value = std::get_if<T>(&found->second);
        expect(value != nullptr, std::string("another type of ") + attribute);
        std::optional<T> taken = std::move(*value);
        attributes.erase(found);
        return taken;
    }

    /// The same for an attribute that has to be there.
    template <typename T>
    T take(const char* attribute) {
        std::optional<T> taken = take_optional<T>(attribute);
        expect(taken.has_value(), std::string("attribute ") + attribute);
        return *std::move(taken);
    }

    /// Throws std::invalid_argument "<name>: expected <what>" unless it fits.
    void expect(bool fits, const std::string& what) const;
};

}  // namespace mobileinst
