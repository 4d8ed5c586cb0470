#pragma once

// Matrix products of 8-bit integers. Rows of the input are copied as dot() takes them; what that adds to the
// sums is taken away where they begin.
//
// Packed weights: the sums of each output channel's integers times -kByteShift, then panels of up to four
// vectors of columns, (k / kInt8Group, columns, kInt8Group), filled up with zeros.

#include "kernels/convolution/view.h"
#include "kernels/gemm/int8_mode.h"
#if defined(__aarch64__)
#include "kernels/gemm/int8_tile_neon.h"
#else
#include "kernels/gemm/int8_tile_x86.h"
#endif

namespace mobileinst {
namespace {

/// Columns of a whole panel.
constexpr size_t kInt8Panel = kInt8Columns * kInt8PanelVectors;
/// Bytes of copied rows that stay in the first-level cache beside a panel.
constexpr size_t kInt8BlockBytes = 16384;
/// Rows that tiles of all shapes divide.
constexpr size_t kInt8RowStep = 24;

inline size_t int8_round_up(size_t a, size_t b) { return (a + b - 1) / b * b; }
inline size_t int8_smaller(size_t a, size_t b) { return a < b ? a : b; }

/// Vectors of the panel that holds the columns from `first` on.
inline size_t int8_vectors(size_t n, size_t first) {
    const size_t least = (n - first + kInt8Columns - 1) / kInt8Columns;
    return least < kInt8LeastVectors ? kInt8LeastVectors : int8_smaller(least, kInt8PanelVectors);
}

/// Bytes of packed weights of n columns of k values.
inline size_t int8_packed_bytes(size_t n, size_t k) {
    const size_t columns =
        n / kInt8Panel * kInt8Panel +
        (n % kInt8Panel == 0 ? 0 : int8_vectors(n, n / kInt8Panel * kInt8Panel) * kInt8Columns);
    return int8_round_up(n, kInt8Panel) * sizeof(int32_t) +
           columns * int8_round_up(k, kInt8Depth) * sizeof(CopiedWeight);
}

/// Packs weights of n columns; value(column, i) gives those of i < k.
template <typename Value>
void int8_pack(size_t n, size_t k, void* packed, const Value& value) {
    auto* start = static_cast<int32_t*>(packed);
    for (size_t column = 0; column < int8_round_up(n, kInt8Panel); ++column) {
        int32_t sum = 0;
        for (size_t i = 0; column < n && i < k; ++i) {
            sum += static_cast<int32_t>(value(column, i));
        }
        start[column] = -kByteShift * sum;
    }
    auto* to = reinterpret_cast<CopiedWeight*>(start + int8_round_up(n, kInt8Panel));
    for (size_t first = 0; first < n; first += kInt8Panel) {
        const size_t columns = int8_vectors(n, first) * kInt8Columns;
        for (size_t i = 0; i < int8_round_up(k, kInt8Depth); i += kInt8Group) {
            for (size_t j = 0; j < columns * kInt8Group; ++j) {
                const size_t column = first + j / kInt8Group, at = i + j % kInt8Group;
                *to++ = column < n && at < k ? static_cast<CopiedWeight>(value(column, at)) : CopiedWeight{0};
            }
        }
    }
}

template <Int8Mode MODE, int VECTORS>
void int8_panel(size_t vectors, const CopiedByte* a, size_t k, const CopiedWeight* panel, size_t rows,
                const Int8Target& target, size_t pixel) {
    if constexpr (VECTORS > kInt8LeastVectors) {
        if (vectors < VECTORS) {
            return int8_panel<MODE, VECTORS - 1>(vectors, a, k, panel, rows, target, pixel);
        }
    }
    int8_tiles<MODE, VECTORS>(a, k, panel, rows, target, pixel);
}

/// Rows that are copied at a time, of k values each; whole tiles.
inline size_t int8_block_rows(size_t k) {
    const size_t fit =
        kInt8BlockBytes / (int8_round_up(k, kInt8Depth) * sizeof(CopiedByte)) / kInt8RowStep * kInt8RowStep;
    return fit < kInt8RowStep ? kInt8RowStep : fit;
}

inline size_t int8_block_bytes(size_t k) {
    return int8_block_rows(k) * int8_round_up(k, kInt8Depth) * sizeof(CopiedByte) + 64;
}

/// Copied rows of k values, which stand for the output pixels from `pixel` on, against all panels.
template <Int8Mode MODE>
void int8_block(const ConvArgs& args, const ByteTable& table, const CopiedByte* rows, size_t count, size_t k,
                size_t pixel) {
    const size_t n = args.output.channels;
    const auto* start = static_cast<const int32_t*>(args.packed);
    const auto* panel = reinterpret_cast<const CopiedWeight*>(start + int8_round_up(n, kInt8Panel));
    for (size_t first = 0; first < n; first += kInt8Panel) {
        const size_t vectors = int8_vectors(n, first);
        const Int8Target target{args, table, start, first, int8_smaller(kInt8Panel, n - first)};
        int8_panel<MODE, static_cast<int>(kInt8PanelVectors)>(vectors, rows, k, panel, count, target, pixel);
        panel += vectors * kInt8Columns * k;
    }
}

/// Output pixels [begin, end) as products; rows(pixel, count) are the values that pixels see, k of each,
/// filled up.
template <Int8Mode MODE, typename Rows>
void int8_products_in(const ConvArgs& args, size_t k, size_t begin, size_t end, const Rows& rows) {
    const size_t step = int8_round_up(k, kInt8Depth), block = int8_block_rows(k);
    const ByteTable table(args.requantisation.table);
    for (size_t pixel = begin; pixel < end; pixel += block) {
        const size_t count = int8_smaller(block, end - pixel);
        int8_block<MODE>(args, table, rows(pixel, count), count, step, pixel);
    }
}

template <typename Rows>
void int8_products_of(const ConvArgs& args, size_t k, size_t begin, size_t end, const Rows& rows) {
    int8_in_mode(args, [&](auto mode) { int8_products_in<mode.value>(args, k, begin, end, rows); });
}

/// The same of copied rows; copy(pixel, to) copies the values that a pixel sees.
template <typename Copy>
void int8_products(const ConvArgs& args, size_t k, size_t begin, size_t end, void* scratch,
                   const Copy& copy) {
    const size_t step = int8_round_up(k, kInt8Depth);
    int8_products_of(args, k, begin, end, [&](size_t pixel, size_t count) {
        auto* rows = static_cast<CopiedByte*>(scratch);
        for (size_t row = 0; row < count; ++row) {
            copy(pixel + row, rows + row * step);
        }
        return static_cast<const CopiedByte*>(rows);
    });
}

size_t gemm_int8_packed_size(const ConvSpec& spec) {
    return int8_packed_bytes(spec.out_channels, spec.in_channels);
}

void gemm_int8_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t k = spec.in_channels;
    int8_pack(spec.out_channels, k, packed, [&](size_t n, size_t i) { return weight[n * k + i]; });
}

size_t gemm_int8_scratch(const ConvArgs& args) { return int8_block_bytes(args.input.channels); }

void gemm_int8_run(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    const Map<const int8_t> input(args.input);
    if (!kInt8Copies && input.ld == input.channels && input.ld % kInt8Depth == 0) {
        const size_t whole =
            (end - begin) / kInt8RowStep * kInt8RowStep;  // rows behind whole tiles are read, too
        int8_products_of(args, input.channels, begin, begin + whole, [&](size_t pixel, size_t) {
            return reinterpret_cast<const CopiedByte*>(input.pixel(pixel));
        });
        begin += whole;
    }
    int8_products(args, input.channels, begin, end, scratch,
                  [&](size_t pixel, CopiedByte* to) { copy_bytes(input.pixel(pixel), input.channels, to); });
}

constexpr ConvKernels kGemmInt8 = {gemm_int8_packed_size, gemm_int8_pack, gemm_int8_scratch,
                                   output_pixels,         gemm_int8_run,  kInt8RowStep};

}  // namespace
}  // namespace mobileinst
