// SSE2, which every x86-64 has: for processors without AVX2.

#include "tiers/float_kernels.h"

namespace mobileinst {

constexpr KernelTable sse_kernels = float_kernels();

}  // namespace mobileinst
