#pragma once

// Tiles of matrix products of bytes by vpdpbusd: a vector of weights holds four values each of 16 columns,
// and four values of a row are broadcast.

#include <cstring>

#include "kernels/convolution/requantise.h"
#include "kernels/gemm/int8_mode.h"
#include "simd/bytes_avx512_vnni.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// Columns of a vector of sums, vectors of a panel at most, and what rows' values are filled up to a multiple
/// of. The last panel has as few vectors as hold what is left.
constexpr size_t kInt8Columns = 16, kInt8PanelVectors = 4, kInt8Depth = 4, kInt8LeastVectors = 1;
/// Values of a column that lie beside each other.
constexpr size_t kInt8Group = 4;

/// Rows of a tile: its sums, weights and a value fill the 32 registers.
template <int VECTORS>
constexpr int kInt8Rows = VECTORS == 4   ? 6
                          : VECTORS == 3 ? 8
                                         : 12;

/// Where the sums of a panel go: `count` channels from `channel` on.
struct Int8Target {
    const ConvArgs& args;
    const ByteTable& table;
    const int32_t* start;
    size_t channel, count;

    Sums begin(int vector) const {
        const size_t column = channel + static_cast<size_t>(vector) * kInt8Columns;
        return {_mm512_add_epi32(_mm512_loadu_si512(start + column),
                                 _mm512_loadu_si512(args.requantisation.offset + column))};
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
            const size_t column = channel + static_cast<size_t>(i % VECTORS) * 16;
            v[i] = {scaled(sums[i / VECTORS][i % VECTORS], to.scale + column, to.shift + column)};
        }
        VecEpilogue(args.epilogue.activation).activate_all(v, ROWS * VECTORS);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; ++r) {
            if (static_cast<size_t>(r) < rows) {
                Floats row[4];
#pragma GCC unroll 4
                for (int j = 0; j < 4; ++j) {
                    row[j] = v[r * VECTORS + (j < VECTORS ? j : 0)].v;
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
            v[i] = r < 4 / VECTORS
                       ? scaled(sums[first + r][j], to.scale + channel + j * 16, to.shift + channel + j * 16)
                       : _mm512_setzero_ps();
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
        constexpr size_t kTogether = 4 / VECTORS;
        if (kTogether == 1 || (rows >= kTogether && count == VECTORS * 16 && output.ld == VECTORS * 16)) {
            return bytes.store_first(y, kTogether == 1 ? count : 64);
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < kTogether; ++r, y += output.ld) {
            if (r < rows) {
                bytes.store_first(y, count < VECTORS * 16 ? count : VECTORS * 16);
            }
            bytes = bytes.template rotated<VECTORS * 4>();
        }
    }

    __mmask16 lanes(int vector) const {
        const size_t done = static_cast<size_t>(vector) * 16, left = count > done ? count - done : 0;
        return static_cast<__mmask16>(left >= 16 ? 0xffffu : (1u << left) - 1);
    }

    static Floats as_floats(__m128i bytes) {
        return _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepi8_epi32(0xffff, bytes));
    }

    template <int VECTORS>
    void store_one_by_one(const Sums (&sums)[VECTORS], size_t pixel) const {
        alignas(64) int32_t values[VECTORS * 16];
        for (int j = 0; j < VECTORS; ++j) {
            sums[j].store(values + j * 16);
        }
        for (size_t i = 0; i < count && i < static_cast<size_t>(VECTORS) * 16; ++i) {
            store_requantised(args, values[i] - args.requantisation.offset[channel + i], pixel, channel + i);
        }
    }

    /// v = t * own + (r * residual + residual_shift), of 4 / VECTORS rows.
    template <int VECTORS>
    inline __attribute__((always_inline)) void add_residual(Floats (&v)[4], size_t rows, size_t pixel) const {
        const Requantisation& to = args.requantisation;
        alignas(64) int8_t tabled[64];
        if (to.table != nullptr) {
            in_order(table.of(v)).store(tabled);
        }
        const Map<const int8_t> given(args.epilogue.residual);
        const Floats factor = _mm512_set1_ps(to.residual), shift = _mm512_set1_ps(to.residual_shift),
                     own = _mm512_set1_ps(to.own);
#pragma GCC unroll 4
        for (int i = 0; i < 4 / VECTORS * VECTORS; ++i) {
            const int row = i / VECTORS, j = i % VECTORS;
            if (to.table != nullptr) {
                v[i] = as_floats(_mm_load_si128(reinterpret_cast<const __m128i*>(tabled + i * 16)));
            }
            const size_t beside = static_cast<size_t>(row) < rows ? static_cast<size_t>(row) : 0;
            const int8_t* r = given.pixel(pixel + beside) + channel + j * 16;
            const Floats added = as_floats(_mm_maskz_loadu_epi8(lanes(j), r));
            v[i] = _mm512_fmadd_ps(v[i], own, _mm512_fmadd_ps(added, factor, shift));
        }
    }

    template <int VECTORS>
    inline __attribute__((always_inline)) void store_floats(const Floats* v, size_t pixel) const {
        const Floats low = _mm512_set1_ps(args.requantisation.low),
                     high = _mm512_set1_ps(args.requantisation.high);
        float* y = Map<float>(args.output).pixel(pixel) + channel;
        const Tensor& residual = args.epilogue.residual;
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) {
            Floats x = _mm512_maskz_min_ps(0xffff, _mm512_maskz_max_ps(0xffff, v[j], low), high);
            if (residual.data != nullptr) {
                const float* r = Map<const float>(residual).pixel(pixel) + channel;
                x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(lanes(j), r + j * 16));
            }
            _mm512_mask_storeu_ps(y + j * 16, lanes(j), x);
        }
    }
};

/// Adds the products of a tile's rows, `step` bytes apart, of `k` bytes each (a multiple of 4), with a panel
/// to the sums.
template <typename Product, int ROWS, int VECTORS>
inline __attribute__((always_inline)) void add_products(const uint8_t* a, size_t step, size_t k,
                                                        const int8_t* panel, Sums (&sums)[ROWS][VECTORS]) {
    // A pointer per three rows, the others reached by x86's scaled index: a pointer per row would spill.
    constexpr int kGroups = (ROWS + 2) / 3;
    const uint8_t* group[kGroups];
#pragma GCC unroll 6
    for (int g = 0; g < kGroups; ++g) {
        group[g] = a + static_cast<size_t>(g) * 3 * step;
    }
    for (const int8_t* end = panel + k * VECTORS * 16; panel != end; panel += VECTORS * 64) {
        Bytes w[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            w[v] = Bytes::load(panel + v * 64);
        }
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            int32_t four;
            std::memcpy(&four, group[r / 3] + static_cast<size_t>(r % 3) * step, sizeof(four));
            const Bytes x{_mm512_set1_epi32(four)};
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                sums[r][v] = Product::add(sums[r][v], x, w[v]);
            }
        }
#pragma GCC unroll 6
        for (int g = 0; g < kGroups; ++g) {
            group[g] += 4;
        }
    }
}

/// Of four bytes each.
struct ByteProduct {
    static inline __attribute__((always_inline)) Sums add(Sums sums, Bytes x, Bytes w) {
        return dot(sums, x, w);
    }
};

/// Of two 16-bit integers each.
struct PairProduct {
    static inline __attribute__((always_inline)) Sums add(Sums sums, Bytes x, Bytes w) {
        return dot_pairs(sums, x, w);
    }
};

/// A tile's rows, each of parts of `length` bytes (a multiple of 4) that lie apart: those of the first row
/// `offset` bytes behind `begins`, of any other `step` bytes behind the row's before.
struct Int8Parts {
    const uint8_t* const* begins;
    size_t offset, count, length, step;
};

/// The first `rows` of a tile against a panel.
template <Int8Mode MODE, int VECTORS>
__attribute__((noinline)) void int8_tile(const Int8Parts& parts, const int8_t* panel, size_t rows,
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

/// The first `rows` of a tile of copied rows, `k` bytes each (a multiple of 4), against a panel.
template <Int8Mode MODE, int VECTORS>
void int8_tile(const uint8_t* a, size_t k, const int8_t* panel, size_t rows, const Int8Target& target,
               size_t pixel) {
    int8_tile<MODE, VECTORS>(Int8Parts{&a, 0, 1, k, k}, panel, rows, target, pixel);
}

/// All of `rows` copied rows of `k` bytes against a panel.
template <Int8Mode MODE, int VECTORS>
void int8_tiles(const uint8_t* a, size_t k, const int8_t* panel, size_t rows, const Int8Target& target,
                size_t pixel) {
    constexpr size_t kRows = kInt8Rows<VECTORS>;
    for (size_t row = 0; row < rows; row += kRows) {
        int8_tile<MODE, VECTORS>(a + row * k, k, panel, rows - row, target, pixel + row);
    }
}

/// The sums of all rows of a tile of 16-bit integers, `k` bytes a row, against a panel: rows of `ld` sums.
template <int VECTORS>
__attribute__((noinline)) void pair_tile(const int16_t* a, size_t k, const int16_t* panel, int32_t* output,
                                         size_t ld) {
    constexpr int kRows = kInt8Rows<VECTORS>;
    Sums sums[kRows][VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
            sums[r][v] = {_mm512_setzero_si512()};
        }
    }
    add_products<PairProduct>(reinterpret_cast<const uint8_t*>(a), k, k,
                              reinterpret_cast<const int8_t*>(panel), sums);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            sums[r][v].store(output + static_cast<size_t>(r) * ld + v * 16);
        }
    }
}

}  // namespace
}  // namespace mobileinst
