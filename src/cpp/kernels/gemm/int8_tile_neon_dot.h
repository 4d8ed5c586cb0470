#pragma once

// Tiles of matrix products of bytes by SDOT with a lane: a vector of weights holds four values each of four
// columns, a vector of the input sixteen values of a row.

#include "kernels/gemm/int8_mode.h"
#include "simd/bytes_neon_dot.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// Columns of a vector of sums, vectors of a panel, and values that rows are filled up to a multiple of.
constexpr size_t kInt8Columns = 4, kInt8PanelVectors = 4, kInt8Depth = 16;
/// A panel is always whole.
constexpr size_t kInt8LeastVectors = 4;

/// Rows of a tile: 16 sums, 4 vectors of the input and 4 of weights.
template <int VECTORS>
constexpr int kInt8Rows = 4;

/// Where the sums of a panel go: `count` channels from `channel` on.
struct Int8Target {
    const ConvArgs& args;
    const ByteTable& table;
    const int32_t* start;
    size_t channel, count;

    Sums begin(int vector) const {
        const size_t column = channel + static_cast<size_t>(vector) * 4;
        return {vaddq_s32(vld1q_s32(start + column), vld1q_s32(args.requantisation.offset + column))};
    }

    /// A row of sums.
    template <Int8Mode MODE, int VECTORS>
    inline __attribute__((always_inline)) void store(const Sums (&sums)[VECTORS], size_t pixel) const {
        const Requantisation& to = args.requantisation;
        Floats v[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
            v[j] = scaled(sums[j], to.scale + channel + j * 4, to.shift + channel + j * 4);
        }
        if constexpr (MODE == Int8Mode::Activated) {
            Vec<float> y[4] = {{v[0]}, {v[1]}, {v[2]}, {v[3]}};
            VecEpilogue(args.epilogue.activation).activate_all(y, 4);
            const Floats activated[4] = {y[0].v, y[1].v, y[2].v, y[3].v};
            store_floats(activated, pixel);
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

/// sums[r][v] += the products of four values of the rows, in lane LANE of x, with a row of a panel.
template <int LANE, int ROWS>
inline __attribute__((always_inline)) void int8_multiply_lane(const Bytes (&x)[ROWS], const int8_t* panel,
                                                              Sums (&sums)[ROWS][4]) {
    const int8x16x4_t w = vld1q_s8_x4(panel);
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; ++r) {
            sums[r][v].v = vdotq_laneq_s32(sums[r][v].v, w.val[v], x[r].v, LANE);
        }
    }
}

/// The first `rows` of a tile of rows, `k` bytes each (a multiple of 16), against a panel.
template <Int8Mode MODE, int VECTORS>
__attribute__((noinline)) void int8_tile(const uint8_t* a, size_t k, const int8_t* panel, size_t rows,
                                         const Int8Target& target, size_t pixel) {
    constexpr int kRows = kInt8Rows<VECTORS>;
    Sums sums[kRows][4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
        const Sums start = target.begin(v);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
            sums[r][v] = start;
        }
    }
    for (const int8_t* end = panel + k * 16; panel != end; panel += 256, a += 16) {
        Bytes x[kRows];
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
            x[r] = Bytes::load(a + static_cast<size_t>(r) * k);
        }
        int8_multiply_lane<0>(x, panel, sums);
        int8_multiply_lane<1>(x, panel + 64, sums);
        int8_multiply_lane<2>(x, panel + 128, sums);
        int8_multiply_lane<3>(x, panel + 192, sums);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
        if (static_cast<size_t>(r) < rows) {
            target.store<MODE, 4>(sums[r], pixel + static_cast<size_t>(r));
        }
    }
}

}  // namespace
}  // namespace mobileinst
