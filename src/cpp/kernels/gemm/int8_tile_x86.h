#pragma once

// Tiles of matrix products of bytes: a vector of weights holds kDotGroup values each of as many columns as
// there are sums, and so many values of a row are broadcast.

#include "kernels/convolution/requantise.h"
#include "kernels/gemm/int8_mode.h"
#include "simd/bytes.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// Columns of a vector of sums, vectors of a panel at most, and what rows' values are filled up to a multiple
/// of. The last panel has as few vectors as hold what is left.
constexpr size_t kInt8Columns = Sums::kWidth, kInt8PanelVectors = kByteRegisters / 8, kInt8Depth = kDotGroup,
                 kInt8LeastVectors = 1;
/// Values of a column that lie beside each other.
constexpr size_t kInt8Group = kDotGroup;
/// dot() takes values only as they are copied.
constexpr bool kInt8Copies = true;

/// Rows of a tile: its sums, weights, a value and a product fill the registers.
template <int VECTORS>
constexpr int kInt8Rows = VECTORS == kInt8PanelVectors ? 6
                          : VECTORS == 3               ? 8
                                                       : 12;

/// Where the sums of a panel go: `count` channels from `channel` on.
struct Int8Target {
    const ConvArgs& args;
    const ByteTable& table;
    const int32_t* start;
    size_t channel, count;

    Sums begin(int vector) const {
        const size_t column = channel + static_cast<size_t>(vector) * kInt8Columns;
        return Sums::load(start + column) + Sums::load(args.requantisation.offset + column);
    }

    /// The first `rows` rows of sums, as many together as fill a vector of bytes.
    template <Int8Mode MODE, int ROWS, int VECTORS>
    inline __attribute__((always_inline)) void store(const Sums (&sums)[ROWS][VECTORS], size_t rows,
                                                     size_t pixel) const {
        constexpr int kTogether = 4 / VECTORS;
        static_assert(ROWS % kTogether == 0, "whole groups of rows");
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r += kTogether) {
            if (static_cast<size_t>(r) < rows) {
                store_together<MODE, ROWS, VECTORS>(sums, r, rows - static_cast<size_t>(r),
                                                    pixel + static_cast<size_t>(r));
            }
        }
    }

    /// Rows of sums as floats, by an activation that is more than limits: of all rows at once.
    template <int ROWS, int VECTORS>
    inline __attribute__((always_inline)) void store_activated(const Sums (&sums)[ROWS][VECTORS], size_t rows,
                                                               size_t pixel) const {
        const Requantisation& to = args.requantisation;
        Vec<float> v[ROWS * VECTORS];
#pragma GCC unroll 24
        for (int i = 0; i < ROWS * VECTORS; ++i) {
            const size_t column = channel + static_cast<size_t>(i % VECTORS) * kInt8Columns;
            v[i] = {scaled(sums[i / VECTORS][i % VECTORS], to.scale + column, to.shift + column)};
        }
        VecEpilogue(args.epilogue.activation).activate_all(v, ROWS * VECTORS);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; ++r) {
            if (static_cast<size_t>(r) < rows) {
                Floats row[VECTORS];
#pragma GCC unroll 4
                for (int j = 0; j < VECTORS; ++j) {
                    row[j] = v[r * VECTORS + j].v;
                }
                store_floats<VECTORS>(row, pixel + static_cast<size_t>(r));
            }
        }
    }

  private:
    /// Rows from `first` on, of which there are `rows`.
    template <Int8Mode MODE, int ROWS, int VECTORS>
    inline __attribute__((always_inline)) void store_together(const Sums (&sums)[ROWS][VECTORS], int first,
                                                              size_t rows, size_t pixel) const {
        if constexpr (MODE == Int8Mode::Halves) {
            for (int r = 0; r < 4 / VECTORS && static_cast<size_t>(r) < rows; ++r) {
                store_one_by_one(sums[first + r], pixel + static_cast<size_t>(r));
            }
            return;
        }
        const Requantisation& to = args.requantisation;
        Floats v[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const int r = i / VECTORS, j = i % VECTORS;
            const size_t column = channel + static_cast<size_t>(j) * kInt8Columns;
            v[i] = r < 4 / VECTORS ? scaled(sums[first + r][j], to.scale + column, to.shift + column)
                                   : filled(0.0f);
        }
        if constexpr (MODE == Int8Mode::Floats) {
#pragma GCC unroll 4
            for (int r = 0; r < 4 / VECTORS; ++r) {
                if (static_cast<size_t>(r) < rows) {
                    store_floats<VECTORS>(&v[r * VECTORS], pixel + static_cast<size_t>(r));
                }
            }
        } else {
            if constexpr (MODE == Int8Mode::Residual) {
                add_residual<VECTORS>(v, rows, pixel);
            }
            store_bytes<VECTORS>(in_order(MODE == Int8Mode::Table ? table.of(v) : rounded(v)), rows, pixel);
        }
    }

    /// The bytes of 4 / VECTORS rows, one after the other.
    template <int VECTORS>
    inline __attribute__((always_inline)) void store_bytes(Bytes bytes, size_t rows, size_t pixel) const {
        const Map<int8_t> output(args.output);
        int8_t* y = output.pixel(pixel) + channel;
        constexpr size_t kTogether = 4 / VECTORS, kRow = VECTORS * kInt8Columns;
        if (kTogether == 1 || (rows >= kTogether && count == kRow && output.ld == kRow)) {
            return bytes.store_first(y, kTogether == 1 ? count : Bytes::kWidth);
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < kTogether; ++r, y += output.ld) {
            if (r < rows) {
                bytes.store_first(y, count < kRow ? count : kRow);
            }
            bytes = bytes.template rotated<kRow / 4>();
        }
    }

    /// Channels of a vector of the panel that there are.
    size_t lanes(int vector) const {
        const size_t left = count - static_cast<size_t>(vector) * kInt8Columns;
        return left < kInt8Columns ? left : kInt8Columns;
    }

    template <int VECTORS>
    void store_one_by_one(const Sums (&sums)[VECTORS], size_t pixel) const {
        alignas(64) int32_t values[VECTORS * kInt8Columns];
        for (size_t j = 0; j < VECTORS; ++j) {
            sums[j].store(values + j * kInt8Columns);
        }
        for (size_t i = 0; i < count && i < VECTORS * kInt8Columns; ++i) {
            store_requantised(args, values[i] - args.requantisation.offset[channel + i], pixel, channel + i);
        }
    }

    /// v = t * own + (r * residual + residual_shift), of 4 / VECTORS rows.
    template <int VECTORS>
    inline __attribute__((always_inline)) void add_residual(Floats (&v)[4], size_t rows, size_t pixel) const {
        const Requantisation& to = args.requantisation;
        alignas(64) int8_t tabled[Bytes::kWidth];
        if (to.table != nullptr) {
            in_order(table.of(v)).store(tabled);
        }
        const Map<const int8_t> given(args.epilogue.residual);
        const Floats factor = filled(to.residual), shift = filled(to.residual_shift), own = filled(to.own);
#pragma GCC unroll 4
        for (int i = 0; i < 4 / VECTORS * VECTORS; ++i) {
            const int row = i / VECTORS, j = i % VECTORS;
            if (to.table != nullptr) {
                v[i] = floats_of_bytes(tabled + static_cast<size_t>(i) * kInt8Columns, kInt8Columns);
            }
            const size_t beside = static_cast<size_t>(row) < rows ? static_cast<size_t>(row) : 0;
            const int8_t* r = given.pixel(pixel + beside) + channel + static_cast<size_t>(j) * kInt8Columns;
            v[i] = fused(v[i], own, fused(floats_of_bytes(r, lanes(j)), factor, shift));
        }
    }

    template <int VECTORS>
    inline __attribute__((always_inline)) void store_floats(const Floats* v, size_t pixel) const {
        float* y = Map<float>(args.output).pixel(pixel) + channel;
        const Tensor& residual = args.epilogue.residual;
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) {
            const size_t at = static_cast<size_t>(j) * kInt8Columns;
            Vec<float> x{limited(v[j], args.requantisation.low, args.requantisation.high)};
            if (residual.data != nullptr) {
                const float* r = Map<const float>(residual).pixel(pixel) + channel;
                x = x + Vec<float>::load_up_to(r + at, lanes(j));
            }
            x.store_up_to(y + at, lanes(j));
        }
    }
};

/// Of bytes as they are copied.
struct ByteProduct {
    using Value = CopiedByte;
    using Weight = CopiedWeight;

    static inline __attribute__((always_inline)) Sums add(Sums sums, Bytes x, Bytes w) {
        return dot(sums, x, w);
    }
};

/// Of 16-bit integers.
struct PairProduct {
    using Value = int16_t;
    using Weight = int16_t;

    static inline __attribute__((always_inline)) Sums add(Sums sums, Bytes x, Bytes w) {
        return dot_pairs(sums, x, w);
    }
};

/// Adds the products of a tile's rows, `step` values apart, of `k` values each (whole groups), with a panel
/// to the sums.
template <typename Product, int ROWS, int VECTORS>
inline __attribute__((always_inline)) void add_products(const typename Product::Value* a, size_t step,
                                                        size_t k, const typename Product::Weight* panel,
                                                        Sums (&sums)[ROWS][VECTORS]) {
    constexpr size_t kGroup = sizeof(int32_t) / sizeof(*a), kVector = Bytes::kWidth / sizeof(*panel);
    // A pointer per three rows, the others reached by x86's scaled index: a pointer per row would spill.
    constexpr int kGroups = (ROWS + 2) / 3;
    const typename Product::Value* group[kGroups];
#pragma GCC unroll 6
    for (int g = 0; g < kGroups; ++g) {
        group[g] = a + static_cast<size_t>(g) * 3 * step;
    }
    for (const auto* end = panel + k * VECTORS * kInt8Columns; panel != end; panel += VECTORS * kVector) {
        Bytes w[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            w[v] = Bytes::load(panel + static_cast<size_t>(v) * kVector);
        }
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const Bytes x = Bytes::broadcast(group[r / 3] + static_cast<size_t>(r % 3) * step);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                sums[r][v] = Product::add(sums[r][v], x, w[v]);
            }
        }
#pragma GCC unroll 6
        for (int g = 0; g < kGroups; ++g) {
            group[g] += kGroup;
        }
    }
}

/// A tile's rows, each of parts of `length` values (whole groups) that lie apart: those of the first row
/// `offset` values behind `begins`, of any other `step` values behind the row's before.
struct Int8Parts {
    const CopiedByte* const* begins;
    size_t offset, count, length, step;
};

/// The first `rows` of a tile against a panel.
template <Int8Mode MODE, int VECTORS>
__attribute__((noinline)) void int8_tile(const Int8Parts& parts, const CopiedWeight* panel, size_t rows,
                                         const Int8Target& target, size_t pixel) {
    constexpr int kRows = kInt8Rows<VECTORS>;
    Sums sums[kRows][VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
        const Sums start = target.begin(v);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
            sums[r][v] = start;
        }
    }
    for (size_t i = 0; i < parts.count; ++i, panel += parts.length * VECTORS * kInt8Columns) {
        add_products<ByteProduct>(parts.begins[i] + parts.offset, parts.step, parts.length, panel, sums);
    }
    if constexpr (MODE == Int8Mode::Activated) {
        target.store_activated(sums, rows, pixel);
    } else {
        target.store<MODE>(sums, rows, pixel);
    }
}

/// The first `rows` of a tile of copied rows, `k` values each (whole groups), against a panel.
template <Int8Mode MODE, int VECTORS>
void int8_tile(const CopiedByte* a, size_t k, const CopiedWeight* panel, size_t rows,
               const Int8Target& target, size_t pixel) {
    int8_tile<MODE, VECTORS>(Int8Parts{&a, 0, 1, k, k}, panel, rows, target, pixel);
}

/// All of `rows` copied rows of `k` values against a panel.
template <Int8Mode MODE, int VECTORS>
void int8_tiles(const CopiedByte* a, size_t k, const CopiedWeight* panel, size_t rows,
                const Int8Target& target, size_t pixel) {
    constexpr size_t kRows = kInt8Rows<VECTORS>;
    for (size_t row = 0; row < rows; row += kRows) {
        int8_tile<MODE, VECTORS>(a + row * k, k, panel, rows - row, target, pixel + row);
    }
}

/// The sums of all rows of a tile of 16-bit integers, `k` a row, against a panel: rows of `ld` sums.
template <int VECTORS>
__attribute__((noinline)) void pair_tile(const int16_t* a, size_t k, const int16_t* panel, int32_t* output,
                                         size_t ld) {
    constexpr int kRows = kInt8Rows<VECTORS>;
    Sums sums[kRows][VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
            sums[r][v] = Sums::zero();
        }
    }
    add_products<PairProduct>(a, k, k, panel, sums);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            sums[r][v].store(output + static_cast<size_t>(r) * ld + static_cast<size_t>(v) * kInt8Columns);
        }
    }
}

}  // namespace
}  // namespace mobileinst
