#include "masks/run_length/run_length.h"

#include <algorithm>
#include <cmath>

#include "core/interpolation.h"
#include "kernels/kernel_table.h"

namespace mobileinst {
namespace {

/// A pixel of the mask's outline: column, and the first row that lies on the other side.
struct Toggle {
    uint32_t column, row;
};

/// First output position of each low-resolution index: positions [first[i], first[i + 1]) read index i and i
/// + 1.
std::vector<uint32_t> first_positions(const std::vector<LinearTap>& taps, size_t in) {
    std::vector<uint32_t> first(in + 1, static_cast<uint32_t>(taps.size()));
    for (size_t position = taps.size(); position-- > 0;) {
        first[taps[position].low] = static_cast<uint32_t>(position);
    }
    for (size_t i = in; i-- > 0;) {
        first[i] = std::min(first[i], first[i + 1]);
    }
    return first;
}

std::vector<LinearTap> all_taps(size_t in, size_t out) {
    std::vector<LinearTap> taps(out);
    for (size_t i = 0; i < out; ++i) {
        taps[i] = linear_tap(i, in, out);
    }
    return taps;
}

std::vector<float> weights_of(const std::vector<LinearTap>& taps) {
    std::vector<float> weights(taps.size());
    std::transform(taps.begin(), taps.end(), weights.begin(),
                   [](const LinearTap& tap) { return tap.weight; });
    return weights;
}

/// The part of a mask that lies in a box; `pixels` is all of the mask's.
Runs clip(const Runs& runs, uint32_t height, uint32_t pixels, const PixelBox& box) {
    const uint32_t top = std::min(box.top, height), bottom = std::min(box.bottom, height);
    Runs clipped;
    uint32_t position = 0, written = 0;
    const auto add = [&](uint32_t begin, uint32_t end) {
        if (begin == written && !clipped.empty()) {
            clipped.back() += end - begin;
        } else {
            clipped.push_back(begin - written);
            clipped.push_back(end - begin);
        }
        written = end;
    };
    for (size_t i = 0; i + 1 < runs.size(); i += 2) {
        const uint32_t begin = position + runs[i], end = begin + runs[i + 1];
        position = end;
        const uint32_t last = std::min((end - 1) / height + 1, box.right);
        for (uint32_t column = std::max(begin / height, box.left); column < last; ++column) {
            const uint32_t first = column * height;
            const uint32_t low = std::max(begin, first + top), high = std::min(end, first + bottom);
            if (low < high) {
                add(low, high);
            }
        }
    }
    if (written < pixels || clipped.empty()) {
        clipped.push_back(pixels - written);
    }
    return clipped;
}

bool holds(const PixelBox& box, const LogitsMask& mask) {
    return box.left == 0 && box.top == 0 && box.right >= mask.out_width && box.bottom >= mask.out_height;
}

}  // namespace

/// Follows the outline of one mask cell by cell. A cell is the square between four neighbouring logits;
/// beyond the last column and row the edge repeats. Interpolation is monotone between two logits, rounding
/// included, so only cells whose corners differ in sign hold outline, and a column changes sign at most once
/// in a cell.
class RunLengthEncoder::Outline {
  public:
    Outline(const RunLengthKernels& kernels, const LogitsMask& mask)
        : kernels_(kernels),
          mask_(mask),
          words_((mask.width + 63) / 64),
          found_(mask.out_width),
          bits_(mask.height * words_),
          next_(mask.out_width + 1) {
        const std::vector<LinearTap> rows = all_taps(mask.height, mask.out_height);
        row_weights_ = weights_of(rows);
        first_row_ = first_positions(rows, mask.height);
        const std::vector<LinearTap> columns = all_taps(mask.width, mask.out_width);
        column_weights_ = weights_of(columns);
        first_column_ = first_positions(columns, mask.width);
    }

    Runs runs(const float* logits) {
        mask_.logits = logits;
        toggles_.clear();
        std::fill(bits_.begin(), bits_.end(), 0);
        for (size_t row = 0; row < mask_.height; ++row) {
            kernels_.above(logits + row * mask_.width, mask_.width, mask_.threshold, &bits_[row * words_]);
        }
        add_top();
        for (size_t row = 0; row + 1 < mask_.height; ++row) {
            add_cells(row);
        }
        add_bottom();
        return encode();
    }

  private:
    bool above(size_t row, size_t column) const {
        return (bits_[row * words_ + column / 64] >> (column % 64) & 1) != 0;
    }

    /// Bits of a row moved so that each stands at its left neighbour; the last column repeats.
    uint64_t right_neighbours(const uint64_t* row, size_t word) const {
        uint64_t moved = row[word] >> 1;
        if (word + 1 < words_) {
            return moved | row[word + 1] << 63;
        }
        const size_t last = (mask_.width - 1) % 64;
        return (moved & ~(uint64_t{1} << last)) | (row[word] & (uint64_t{1} << last));
    }

    /// Columns that start inside the mask change sign at row 0.
    void add_top() { add_edge(0, 0); }

    /// Columns that end inside the mask change sign after the last row.
    void add_bottom() { add_edge(mask_.height - 1, static_cast<uint32_t>(mask_.out_height)); }

    void add_edge(size_t low_row, uint32_t position) {
        const float* row = mask_.logits + low_row * mask_.width;
        for (size_t i = 0; i < mask_.width; ++i) {
            const size_t right = std::min(i + 1, mask_.width - 1);
            const bool left_above = above(low_row, i), right_above = above(low_row, right);
            if (!left_above && !right_above) {
                continue;
            }
            for (uint32_t x = first_column_[i]; x < first_column_[i + 1]; ++x) {
                if ((left_above && right_above) ||
                    row[i] + (row[right] - row[i]) * column_weights_[x] > mask_.threshold) {
                    toggles_.push_back({x, position});
                }
            }
        }
    }

    void add_cells(size_t row) {
        const uint64_t* upper = &bits_[row * words_];
        const uint64_t* lower = upper + words_;
        for (size_t word = 0; word < words_; ++word) {
            const uint64_t upper_right = right_neighbours(upper, word);
            const uint64_t lower_right = right_neighbours(lower, word);
            uint64_t mixed =
                (upper[word] ^ lower[word]) | (upper[word] ^ upper_right) | (upper_right ^ lower_right);
            for (; mixed != 0; mixed &= mixed - 1) {
                add_cell(row, word * 64 + static_cast<size_t>(__builtin_ctzll(mixed)));
            }
        }
    }

    void add_cell(size_t row, size_t column) {
        const size_t right = std::min(column + 1, mask_.width - 1);
        const float* upper = mask_.logits + row * mask_.width;
        const float* lower = upper + mask_.width;
        const float corners[4] = {upper[column], upper[right], lower[column], lower[right]};
        const size_t count = kernels_.crossings(corners, column_weights_.data(), first_column_[column],
                                                first_column_[column + 1], mask_.threshold, found_.data());
        for (size_t i = 0; i < count; ++i) {
            toggles_.push_back({found_[i].column, crossing_row(row, found_[i])});
        }
    }

    /// First output row of the cell's that lies on the lower corner's side: estimated, then corrected by
    /// evaluation.
    uint32_t crossing_row(size_t row, const Crossing& crossing) const {
        const uint32_t begin = first_row_[row], end = first_row_[row + 1];
        const float step = crossing.lower - crossing.upper;
        const bool lower_above = crossing.lower > mask_.threshold;
        const auto crossed = [&](uint32_t y) {
            return (crossing.upper + step * row_weights_[y] > mask_.threshold) == lower_above;
        };
        const double scale = static_cast<double>(mask_.out_height) / static_cast<double>(mask_.height);
        const double position = (static_cast<double>(row) + crossing.fraction + 0.5) * scale + 0.5;
        // written so that a NaN, from values too far apart for a float, gives `begin`
        uint32_t y = position > begin ? static_cast<uint32_t>(std::min<double>(position, end)) : begin;
        while (y > begin && crossed(y - 1)) {
            --y;
        }
        while (y < end && !crossed(y)) {
            ++y;
        }
        return y;
    }

    /// Sorts the toggles by column (they come row by row) and takes differences; two at one place cancel.
    Runs encode() {
        std::fill(next_.begin(), next_.end(), 0);
        for (const Toggle& toggle : toggles_) {
            ++next_[toggle.column + 1];
        }
        for (size_t x = 0; x < mask_.out_width; ++x) {
            next_[x + 1] += next_[x];
        }
        Runs places(toggles_.size());
        for (const Toggle& toggle : toggles_) {
            places[next_[toggle.column]++] =
                toggle.column * static_cast<uint32_t>(mask_.out_height) + toggle.row;
        }
        size_t kept = 0;
        for (const uint32_t place : places) {
            if (kept > 0 && places[kept - 1] == place) {
                --kept;
            } else {
                places[kept++] = place;
            }
        }
        const auto pixels = static_cast<uint32_t>(mask_.out_height * mask_.out_width);
        if (kept == 0 || places[kept - 1] != pixels) {
            places.resize(kept + 1);
            places[kept++] = pixels;
        }
        places.resize(kept);
        for (size_t i = kept; i-- > 1;) {
            places[i] -= places[i - 1];
        }
        return places;
    }

    const RunLengthKernels& kernels_;
    LogitsMask mask_;
    const size_t words_;
    std::vector<float> row_weights_, column_weights_;
    std::vector<uint32_t> first_row_, first_column_;
    // of one mask
    std::vector<Crossing> found_;
    std::vector<uint64_t> bits_;
    std::vector<Toggle> toggles_;
    std::vector<uint32_t> next_;
};

RunLengthEncoder::RunLengthEncoder(Tier tier, const LogitsMask& mask)
    : mask_(mask),
      outline_(tier == Tier::Ref
                   ? nullptr
                   : std::make_unique<Outline>(kernels_of(tier, &KernelTable::run_length), mask)) {}

RunLengthEncoder::~RunLengthEncoder() = default;
RunLengthEncoder::RunLengthEncoder(RunLengthEncoder&&) noexcept = default;

Runs RunLengthEncoder::encode(const float* logits, const PixelBox& within) {
    if (outline_ != nullptr) {
        Runs runs = outline_->runs(logits);
        return holds(within, mask_) ? runs
                                    : clip(runs, static_cast<uint32_t>(mask_.out_height),
                                           static_cast<uint32_t>(mask_.out_height * mask_.out_width), within);
    }
    mask_.logits = logits;
    mask_.within = within;
    return run_lengths_dense(mask_);
}

float maskness(Tier tier, const float* logits, size_t height, size_t width, float threshold) {
    const RunLengthKernels& kernels = kernels_of(tier, &KernelTable::run_length);
    const size_t words = (width + 63) / 64;
    std::vector<float> padded(width + 2);
    std::vector<uint64_t> bits(words);
    std::vector<bool> holds(height);  // rows with a logit above the threshold
    for (size_t y = 0; y < height; ++y) {
        std::fill(bits.begin(), bits.end(), 0);
        kernels.above(logits + y * width, width, threshold, bits.data());
        holds[y] = std::any_of(bits.begin(), bits.end(), [](uint64_t word) { return word != 0; });
    }
    double sum = 0.0;
    size_t count = 0;
    for (size_t y = 0; y < height; ++y) {
        const float* centre = logits + y * width;
        for (const size_t other : {y > 0 ? y - 1 : y, y + 1 < height ? y + 1 : y}) {
            if (!holds[y] && !holds[other]) {
                continue;  // what lies between logits below the threshold is below it too
            }
            const float* neighbour = logits + other * width;
            for (size_t x = 0; x < width; ++x) {
                padded[x + 1] = centre[x] + (neighbour[x] - centre[x]) * 0.25f;
            }
            padded.front() = padded[1];
            padded.back() = padded[width];
            kernels.maskness_row(padded.data() + 1, width, threshold, &sum, &count);
        }
    }
    return count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count));
}

Runs run_lengths_dense(const LogitsMask& mask) {
    Runs runs;
    uint32_t run = 0;
    bool inside = false;
    for (size_t x = 0; x < mask.out_width; ++x) {
        const LinearTap column = linear_tap(x, mask.width, mask.out_width);
        for (size_t y = 0; y < mask.out_height; ++y) {
            const LinearTap row = linear_tap(y, mask.height, mask.out_height);
            const float* top = mask.logits + row.low * mask.width;
            const float* bottom = mask.logits + row.high * mask.width;
            const float upper = top[column.low] + (top[column.high] - top[column.low]) * column.weight;
            const float lower =
                bottom[column.low] + (bottom[column.high] - bottom[column.low]) * column.weight;
            const PixelBox& box = mask.within;
            const bool now = upper + (lower - upper) * row.weight > mask.threshold && x >= box.left &&
                             x < box.right && y >= box.top && y < box.bottom;
            if (now != inside) {
                runs.push_back(run);
                run = 0;
                inside = now;
            }
            ++run;
        }
    }
    runs.push_back(run);
    return runs;
}

}  // namespace mobileinst
