#include "kernels/select/select.h"

#include <algorithm>
#include <cmath>

namespace mobileinst {
namespace {

constexpr float kPi = 3.14159265358979f;

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-std::clamp(x, -80.0f, 80.0f))); }

/// Which level a place is of, and which row of it.
struct Place {
    size_t level, row;

    Place(const SelectArgs& args, size_t index) : level(0), row(index) {
        while (row >= args.levels[level].places()) {
            row -= args.levels[level].places();
            ++level;
        }
    }
};

/// Score of a class: objectness times the best of its kinds.
float class_score(const SelectArgs& args, const Place& place, size_t group) {
    const SelectLevel& level = args.levels[place.level];
    size_t first = 0;
    for (size_t g = 0; g < group; ++g) {
        first += args.groups[g];
    }
    const float* kinds = level.kinds.pixel(place.row) + first;
    const float best = *std::max_element(kinds, kinds + args.groups[group]);
    return sigmoid(*level.objectness.pixel(place.row)) * sigmoid(best);
}

void score_places(const SelectArgs& args, SelectScratch& scratch) {
    size_t index = 0;
    for (const SelectLevel& level : args.levels) {
        for (size_t row = 0; row < level.places(); ++row, ++index) {
            const float* kinds = level.kinds.pixel(row);
            size_t all = 0;
            for (const size_t group : args.groups) {
                all += group;
            }
            const float best = *std::max_element(kinds, kinds + all);
            scratch.scores[index] = sigmoid(*level.objectness.pixel(row)) * sigmoid(best);
        }
    }
}

void find_corners(const SelectArgs& args, const Place& place, float* corners) {
    const SelectLevel& level = args.levels[place.level];
    const float* box = level.boxes.pixel(place.row);
    for (size_t axis = 0; axis < 2; ++axis) {
        const float half = std::exp(std::clamp(box[2 + axis], -20.0f, 20.0f)) / 2;
        corners[axis] = box[axis] - half;
        corners[2 + axis] = box[axis] + half;
    }
}

float overlap(const float* a, const float* b) {
    const float width = std::min(a[2], b[2]) - std::max(a[0], b[0]);
    const float height = std::min(a[3], b[3]) - std::max(a[1], b[1]);
    const float inter = std::max(width, 0.0f) * std::max(height, 0.0f);
    const float areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]);
    return inter / (areas - inter + 1e-9f);
}

/// The candidates in the order of `scratch.order`, those that overlap a better one last.
void order_candidates(const SelectArgs& args, SelectScratch& scratch, size_t candidates) {
    for (size_t i = 0; i < candidates; ++i) {
        find_corners(args, Place(args, scratch.order[i]), scratch.corners.data() + 4 * i);
    }
    size_t kept = 0, late = candidates;
    for (size_t i = 0; i < candidates; ++i) {
        bool covered = false;
        for (size_t j = 0; j < i && !covered; ++j) {
            covered = overlap(scratch.corners.data() + 4 * j, scratch.corners.data() + 4 * i) > args.overlap;
        }
        scratch.chosen[covered ? --late : kept++] = scratch.order[i];
    }
    std::reverse(scratch.chosen.begin() + static_cast<ptrdiff_t>(kept),
                 scratch.chosen.begin() + static_cast<ptrdiff_t>(candidates));
}

/// 1 - dx^2 - dy^2 of a pixel at (x, y), dx and dy in half extents, as factors of x, y, x^2, y^2 and 1.
void write_window(const SelectArgs& args, const float* box, float* output) {
    float middle = 1.0f;
    for (size_t axis = 0; axis < 2; ++axis) {
        const float half = std::max(std::exp(std::clamp(box[2 + axis], -20.0f, 20.0f)) / 2, args.least_half);
        const float steep = 1.0f / (half * half), centre = box[axis] - 0.5f;
        output[axis] = 2.0f * centre * steep * args.window_scale;
        output[2 + axis] = -steep * args.window_scale;
        middle -= centre * centre * steep;
    }
    output[4] = middle * args.window_scale;
}

/// No place: nothing but the least score and the least window.
void write_empty_row(const SelectArgs& args, float* output) {
    std::fill_n(output, args.output_channels(), 0.0f);
    const size_t first = args.levels.size() * (args.features + 1);
    std::fill_n(output + first, args.groups.size(), std::log(args.margin / (1.0f - args.margin)));
    const float least = std::log(2.0f * args.least_half);
    const float box[] = {0.5f, 0.5f, least, least};
    write_window(args, box, output + args.output_channels() - SelectArgs::kWindowChannels);
}

void write_row(const SelectArgs& args, const Place& place, float* output) {
    const SelectLevel& level = args.levels[place.level];
    const size_t width = args.features + 1;
    std::fill_n(output, args.output_channels(), 0.0f);
    float* own = output + place.level * width;
    std::copy_n(level.features.pixel(place.row), args.features, own);
    own[args.features] = 1.0f;
    output += args.levels.size() * width;
    for (size_t group = 0; group < args.groups.size(); ++group) {
        const float score = std::clamp(class_score(args, place, group), args.margin, 1.0f - args.margin);
        *output++ = std::log(score / (1.0f - score));
    }
    const float* box = level.boxes.pixel(place.row);
    output = std::copy_n(box, 4, output);
    for (size_t axis = 0; axis < 2; ++axis) {
        for (size_t wave = 0; wave < 4; ++wave) {
            const float angle = box[axis] * kPi * static_cast<float>(1 << wave);
            output[axis * 8 + wave] = std::sin(angle);
            output[axis * 8 + 4 + wave] = std::cos(angle);
        }
    }
    write_window(args, box, output + 16);
}

}  // namespace

size_t SelectArgs::places() const {
    size_t total = 0;
    for (const SelectLevel& level : levels) {
        total += level.places();
    }
    return total;
}

SelectScratch::SelectScratch(const SelectArgs& args)
    : scores(args.places()),
      order(args.places()),
      chosen(std::min(args.candidates, args.places())),
      corners(4 * chosen.size()) {}

void select_places(const SelectArgs& args, SelectScratch& scratch) {
    score_places(args, scratch);
    for (size_t i = 0; i < scratch.order.size(); ++i) {
        scratch.order[i] = static_cast<uint32_t>(i);
    }
    const size_t candidates = scratch.chosen.size();
    std::partial_sort(
        scratch.order.begin(), scratch.order.begin() + static_cast<ptrdiff_t>(candidates),
        scratch.order.end(), [&](uint32_t a, uint32_t b) {
            return scratch.scores[a] != scratch.scores[b] ? scratch.scores[a] > scratch.scores[b] : a < b;
        });
    order_candidates(args, scratch, candidates);
    for (size_t row = 0; row < args.output.pixels(); ++row) {
        float* output = args.output.pixel(row);
        if (row < candidates) {
            write_row(args, Place(args, scratch.chosen[row]), output);
        } else {
            write_empty_row(args, output);
        }
    }
}

}  // namespace mobileinst
