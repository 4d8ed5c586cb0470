// NEON of armv7-a with VFPv4, for programs of 32 bits: Raspberry Pi 2 and newer.

#include "tiers/float_kernels.h"

namespace mobileinst {

constexpr KernelTable neon_armv7_kernels = float_kernels();

}  // namespace mobileinst
