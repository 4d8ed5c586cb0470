#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace mobileinst {

/// What a detector says of every place of one level; rows are places.
struct SelectLevel {
    Map<const float> kinds;       ///< logits, as many as all groups together
    Map<const float> objectness;  ///< one logit
    Map<const float> boxes;       ///< centre x and y, logarithms of width and height
    Map<const float> features;

    size_t places() const { return kinds.pixels(); }
};

/// The best places of all levels as rows, as mobileinst/network/selection.py describes them.
struct SelectArgs {
    std::vector<SelectLevel> levels;
    std::vector<size_t> groups;  ///< kinds of each class
    size_t features = 0;         ///< channels of the features
    size_t candidates = 0;
    float overlap = 0.0f;                          ///< IoU above which the worse of two candidates comes last
    float window_scale = 0.0f, least_half = 0.0f;  ///< of windows
    float margin = 0.0f;                           ///< probabilities are kept this far from 0 and 1
    Map<float> output;

    size_t places() const;
    size_t output_channels() const {
        return levels.size() * (features + 1) + groups.size() + kBoxChannels + kWindowChannels;
    }

    /// A box, and sines and cosines of 1, 2, 4, 8 half turns of both its centre's coordinates.
    static constexpr size_t kBoxChannels = 20;
    /// What a box says of pixels: a quadratic function of their coordinates.
    static constexpr size_t kWindowChannels = 5;
};

/// Memory of a selection, made once.
struct SelectScratch {
    std::vector<float> scores;
    std::vector<uint32_t> order, chosen;
    std::vector<float> corners;

    explicit SelectScratch(const SelectArgs& args);
    SelectScratch() = default;
};

/// Plain C++ on every tier: a few thousand places, compared once per keyframe.
void select_places(const SelectArgs& args, SelectScratch& scratch);

}  // namespace mobileinst
