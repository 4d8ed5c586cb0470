#pragma once

// Tiles of matrix products of bytes by SDOT or, where the tier has it, SMMLA: assembly.

#include "core/half.h"
#include "kernels/gemm/int8_mode.h"
#include "simd/bytes.h"
#include "simd/epilogue.h"

namespace mobileinst {

/// What a column of tiles begins with and where it goes; the assembly knows this layout.
struct Int8Tiles {
    const int32_t* start;  ///< sums of a tile's first two rows, in the order that they have in registers
    void* output;
    size_t output_step;  ///< bytes to the next row
    const float *scale, *shift;
    const void* residual;
    size_t residual_step;
    /// 0: the sums themselves, rows of 16 without gaps. 1: bytes, 2: halves, 32: floats; the latter two +4:
    /// at least 0, +8: at most 6. +16: plus the residual, which has the output's type.
    size_t mode;
    float own, residual_factor, residual_shift, unused;  ///< for a residual of bytes, see Requantisation
};

/// `tiles` > 0 tiles of 4 rows and 16 columns below each other. Rows of `a` follow each other, `k` bytes
/// long: a multiple of 16.
using Int8TilesFunction = void(const uint8_t* a, size_t k, size_t tiles, const int8_t* panel,
                               const Int8Tiles* target);

}  // namespace mobileinst

extern "C" {
// int8_tiles_neon_dot.S and int8_tiles_neon_i8mm.S
mobileinst::Int8TilesFunction mobileinst_int8_tiles_dot, mobileinst_int8_tiles_i8mm;
}

namespace mobileinst {
namespace {

#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr bool kInt8Matrices = true;
#else
constexpr bool kInt8Matrices = false;
#endif

/// Columns of a vector of sums, vectors of a panel, values that rows are filled up to a multiple of, and
/// values of a column that lie beside each other.
constexpr size_t kInt8Columns = 4, kInt8PanelVectors = 4, kInt8Depth = 16, kInt8Group = kInt8Matrices ? 8 : 4;
/// Rows are multiplied where they lie.
constexpr bool kInt8Copies = false;
/// A panel is always whole.
constexpr size_t kInt8LeastVectors = 4;
/// Rows and columns of a tile.
constexpr size_t kInt8TileRows = 4, kInt8TileColumns = 16;

/// Where the sums of a panel go: `count` channels from `channel` on.
struct Int8Target {
    const ConvArgs& args;
    const ByteTable& table;
    const int32_t* start;
    size_t channel, count;

    /// What the assembly stores by itself, of whole panels: bytes without a table, floats and halves with no
    /// activation but limits; else mode 0.
    template <Int8Mode MODE>
    Int8Tiles tiles(const int32_t* sums, size_t pixel) const {
        const Requantisation& to = args.requantisation;
        Int8Tiles found{sums, nullptr, 0,      to.scale + channel, to.shift + channel, nullptr,
                        0,    0,       to.own, to.residual,        to.residual_shift,  0.0f};
        const bool bytes = MODE == Int8Mode::Plain || MODE == Int8Mode::Residual;
        if (count < kInt8TileColumns || MODE == Int8Mode::Table || MODE == Int8Mode::Activated ||
            (bytes ? to.table != nullptr : !only_limits(args.epilogue.activation))) {
            return found;
        }
        found.mode =
            bytes ? 1 : 4 * limit_bits(args.epilogue.activation) + (MODE == Int8Mode::Halves ? 2 : 32);
        found.output = from_channel(args.output, pixel);
        found.output_step = args.output.stride;
        const Tensor& residual = args.epilogue.residual;
        if (residual.data != nullptr) {
            found.mode += 16;
            found.residual = from_channel(residual, pixel);
            // Floats are read by four vectors, of which three move on.
            found.residual_step = residual.stride - (MODE == Int8Mode::Floats ? 48 : 0);
        }
        return found;
    }

    /// Where the sums of two rows begin, in the order of their registers.
    void begin(int32_t (&sums)[2 * kInt8TileColumns]) const {
        for (size_t i = 0; i < 2 * kInt8TileColumns; ++i) {
            const size_t column = channel + (kInt8Matrices ? i / 4 * 2 + i % 2 : i % kInt8TileColumns);
            sums[i] = start[column] + args.requantisation.offset[column];
        }
    }

    /// A row of sums.
    template <Int8Mode MODE>
    inline __attribute__((always_inline)) void store(const int32_t* sums, size_t pixel) const {
        const Requantisation& to = args.requantisation;
        Floats v[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
            v[j] = scaled(Sums::load(sums + j * 4), to.scale + channel + j * 4, to.shift + channel + j * 4);
        }
        if constexpr (MODE == Int8Mode::Activated || MODE == Int8Mode::Halves) {
            Vec<float> y[4] = {{v[0]}, {v[1]}, {v[2]}, {v[3]}};
            VecEpilogue(args.epilogue.activation).activate_all(y, 4);
            const Floats activated[4] = {y[0].v, y[1].v, y[2].v, y[3].v};
            if constexpr (MODE == Int8Mode::Halves) {
                store_halves(activated, pixel);
            } else {
                store_floats(activated, pixel);
            }
        } else if constexpr (MODE == Int8Mode::Floats) {
            store_floats(v, pixel);
        } else {
            if constexpr (MODE == Int8Mode::Residual) {
                add_residual(v, pixel);
            }
            const Bytes bytes = MODE == Int8Mode::Table ? table.of(v) : rounded(v);
            bytes.store_first(Map<int8_t>(args.output).pixel(pixel) + channel, count);
        }
    }

  private:
    void* from_channel(const Tensor& map, size_t pixel) const {
        return static_cast<char*>(map.data) + pixel * map.stride + channel * size_of(map.dtype);
    }

    static void as_floats(Bytes bytes, Floats (&v)[4]) {
        const int16x8_t low = vmovl_s8(vget_low_s8(bytes.v)), high = vmovl_s8(vget_high_s8(bytes.v));
        v[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
        v[1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(low)));
        v[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
        v[3] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)));
    }

    /// v = t * own + (r * residual + residual_shift).
    void add_residual(Floats (&v)[4], size_t pixel) const {
        const Requantisation& to = args.requantisation;
        if (to.table != nullptr) {
            as_floats(table.of(v), v);
        }
        int8_t given[16] = {};
        std::memcpy(given, Map<const int8_t>(args.epilogue.residual).pixel(pixel) + channel,
                    count < 16 ? count : 16);
        Floats r[4];
        as_floats(Bytes::load(given), r);
        for (int j = 0; j < 4; ++j) {
            const float32x4_t rest =
                vfmaq_f32(vdupq_n_f32(to.residual_shift), r[j], vdupq_n_f32(to.residual));
            v[j] = vfmaq_f32(rest, v[j], vdupq_n_f32(to.own));
        }
    }

    void store_halves(const Floats (&v)[4], size_t pixel) const {
        const size_t bytes = (count < kInt8TileColumns ? count : kInt8TileColumns) * sizeof(Half);
        float16x8_t y[2] = {vcombine_f16(vcvt_f16_f32(v[0]), vcvt_f16_f32(v[1])),
                            vcombine_f16(vcvt_f16_f32(v[2]), vcvt_f16_f32(v[3]))};
        const Tensor& residual = args.epilogue.residual;
        if (residual.data != nullptr) {
            float16x8_t r[2] = {};
            std::memcpy(r, Map<const Half>(residual).pixel(pixel) + channel, bytes);
            y[0] = vaddq_f16(y[0], r[0]);
            y[1] = vaddq_f16(y[1], r[1]);
        }
        std::memcpy(static_cast<void*>(Map<Half>(args.output).pixel(pixel) + channel), y, bytes);
    }

    void store_floats(const Floats (&v)[4], size_t pixel) const {
        const Requantisation& to = args.requantisation;
        float values[16];
        for (int j = 0; j < 4; ++j) {
            const float32x4_t above = vmaxq_f32(v[j], vdupq_n_f32(to.low));
            vst1q_f32(values + j * 4, vminq_f32(above, vdupq_n_f32(to.high)));
        }
        float* y = Map<float>(args.output).pixel(pixel) + channel;
        const Tensor& residual = args.epilogue.residual;
        const float* r =
            residual.data == nullptr ? nullptr : Map<const float>(residual).pixel(pixel) + channel;
        for (size_t i = 0; i < (count < 16 ? count : 16); ++i) {
            y[i] = r == nullptr ? values[i] : values[i] + r[i];
        }
    }
};

/// All of `rows` rows of `k` bytes against a panel; what they are filled up to whole tiles with is read, too.
template <Int8Mode MODE, int VECTORS>
__attribute__((noinline)) void int8_tiles(const uint8_t* a, size_t k, const int8_t* panel, size_t rows,
                                          const Int8Target& target, size_t pixel) {
    Int8TilesFunction* const function =
        kInt8Matrices ? mobileinst_int8_tiles_i8mm : mobileinst_int8_tiles_dot;
    int32_t start[2 * kInt8TileColumns], sums[kInt8TileRows * kInt8TileColumns];
    target.begin(start);
    Int8Tiles tiles = target.tiles<MODE>(start, pixel);
    size_t row = 0;
    if (tiles.mode != 0 && rows >= kInt8TileRows) {
        row = rows / kInt8TileRows * kInt8TileRows;
        function(a, k, row / kInt8TileRows, panel, &tiles);
    }
    tiles.mode = 0;
    for (; row < rows; row += kInt8TileRows) {
        tiles.output = sums;
        function(a + row * k, k, 1, panel, &tiles);
        for (size_t r = 0; r < kInt8TileRows && row + r < rows; ++r) {
            target.store<MODE>(sums + r * kInt8TileColumns, pixel + row + r);
        }
    }
}

}  // namespace
}  // namespace mobileinst
