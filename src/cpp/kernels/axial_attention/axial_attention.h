#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tensor.h"
#include "core/tier.h"

namespace mobileinst {

/// Which axis is attended along: its positions are rows or columns of the map.
enum AxialAxis : size_t { kRowAxis = 0, kColumnAxis = 1, kAxes = 2 };

/// SeaFormer's squeezed axial attention (docs/spec.md): y = relu6(v + rows + columns). Rows: q, k, v
/// averaged over the width, positions added to q and k, attention, ReLU6, 1x1 convolution; columns likewise.
/// Channels are laid out [head][dim]. Output may be the value map itself. Whatever the type of the maps,
/// tokens are floats.
struct AxialAttentionArgs {
    Tensor query, key;  ///< (height, width, heads * key_dim)
    Tensor value;       ///< (height, width, heads * value_dim)
    Tensor output;
    size_t heads = 0;  ///< >= 1; divides the channels
    float scale = 1.0f;
    /// Per axis, interpolated to its length: (length, heads * key_dim).
    const float* query_positions[kAxes] = {nullptr, nullptr};
    const float* key_positions[kAxes] = {nullptr, nullptr};
    /// Per axis the convolution of floats, packed by KernelTable::gemm, and its bias or null.
    const void* encode[kAxes] = {nullptr, nullptr};
    const float* encode_bias[kAxes] = {nullptr, nullptr};
    /// axial_workspace_size() bytes that all calls of a run share, aligned to 64 bytes.
    void* workspace = nullptr;

    /// Positions along an axis. Not inline: files of several instruction sets call it.
    size_t length(size_t axis) const;
};

/// Parts of the workspace: what belongs to one axis.
struct AxialTokens {
    float *query, *key, *value;  ///< squeezed, (length, channels), contiguous
    float* mixed;                ///< after attention and ReLU6
    float* encoded;              ///< after the convolution
};

AxialTokens axial_tokens(const AxialAttentionArgs& args, size_t axis);

/// The parts that differ between tiers.
struct AxialAttentionKernels {
    /// Averages blocks [begin, end) of kBlock channels of query, key and value along both axes in one pass,
    /// and adds the positions.
    void (*squeeze)(const AxialAttentionArgs& args, size_t begin, size_t end);
    /// Adds both axes to rows [begin, end) of the value map, with ReLU6.
    void (*spread)(const AxialAttentionArgs& args, size_t begin, size_t end);

    static constexpr size_t kBlock = 32;
};

/// One of the maps that are squeezed, and where to.
struct AxialSource {
    Tensor map;
    float* squeezed[kAxes];
    const float* positions[kAxes];  ///< null for the value
};

/// Finds the map of a block among those of all three, and the block's first channel within it.
AxialSource axial_source(const AxialAttentionArgs& args, size_t block, size_t* channel);

/// Bytes of workspace.
size_t axial_workspace_size(const AxialAttentionArgs& args);
/// Bytes of scratch that each concurrent call of axial_attention() needs, aligned to 64 bytes.
size_t axial_scratch_size(Tier tier, const AxialAttentionArgs& args);

/// A run has kAxialSteps steps, each of which must be finished before the next begins. Within one, any split
/// of its units gives the same bits.
constexpr size_t kAxialSteps = 4;
size_t axial_units(const AxialAttentionArgs& args, size_t step);
void axial_attention(Tier tier, const AxialAttentionArgs& args, size_t step, size_t begin, size_t end,
                     void* scratch);

}  // namespace mobileinst
