// NEON of armv8-a.

#include "tiers/float_kernels.h"

namespace mobileinst {

constexpr KernelTable neon_kernels = float_kernels();

}  // namespace mobileinst
