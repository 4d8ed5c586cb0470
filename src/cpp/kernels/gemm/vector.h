#pragma once

#include "kernels/convolution/view.h"
#include "kernels/gemm/panel.h"

namespace mobileinst {
namespace {

size_t gemm_packed_size(const ConvSpec& spec) {
    return packed_elements(spec.out_channels, spec.in_channels) * sizeof(Element);
}

void gemm_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t n = spec.out_channels, k = spec.in_channels;
    Element* to = static_cast<Element*>(packed);
    for (size_t first = 0; first < n; first += kPanelColumns) {
        const size_t columns = panel_columns(n, first);
        for (size_t i = 0; i < k; ++i) {
            for (size_t j = 0; j < columns; ++j) {
                *to++ = first + j < n ? static_cast<Element>(weight[(first + j) * k + i]) : Element{};
            }
        }
    }
}

/// Rows [begin, end) of the output.
inline void gemm_rows(const Map<const Element>& a, const Element* packed, const Map<Element>& c,
                      const VecEpilogue& epilogue, size_t begin, size_t end) {
    const size_t k = a.channels, n = c.channels;
    // A panel of W stays in the first cache while rows of A, few enough to stay in the second, pass by.
    const size_t block = larger(kRowTile, kSecondCacheElements / 4 / (k + n) / kRowTile * kRowTile);
    for (size_t row = begin; row < end; row += block) {
        const size_t rows = smaller(block, end - row);
        for (size_t column = 0; column < n; column += kPanelColumns) {
            gemm_panel(a.pixel(row), a.ld, rows, packed + column * k,
                       panel_columns(n, column) / Vec<Element>::kWidth, k,
                       EpilogueRows{&epilogue, c.pixel(row) + column, c.ld, row, column, n - column});
        }
    }
}

void gemm_run(const ConvArgs& args, size_t begin, size_t end, void* /*scratch*/) {
    const ConvView<Element> view(args);
    gemm_rows(view.input, view.packed, view.output, VecEpilogue(args.epilogue), begin, end);
}

constexpr ConvKernels kGemm = {gemm_packed_size, gemm_pack, no_scratch, output_pixels, gemm_run, kRowTile};

}  // namespace
}  // namespace mobileinst
