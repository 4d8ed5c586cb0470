#pragma once

// The kernels that pass over maps and wait for memory.

#include "kernels/axial_attention/vector.h"
#include "kernels/elementwise/vector.h"
#include "kernels/kernel_table.h"
#include "kernels/layer_norm/vector.h"
#include "kernels/pooling/vector.h"
#include "kernels/resize/vector.h"

namespace mobileinst {
namespace {

/// Those that all types of elements have.
constexpr void add_map_kernels(KernelTable& table) {
    table.axial_attention[kElementType] = &kAxialAttention;
    table.elementwise[kElementType] = &kElementwise;
    table.layer_norm[kElementType] = &kLayerNorm;
    table.pool[kElementType] = &kPool;
    table.resize[kElementType] = &kResize;
}

}  // namespace
}  // namespace mobileinst
