#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace mobileinst {

/// While this lives, its thread takes denormal floats for 0, as operands and as results, on x86, whose
/// processors compute them ten times as slowly; the shares of an attention's far keys times its values are
/// many. Elsewhere they cost little, and stay.
class DenormalsAreZero {
  public:
#if defined(__x86_64__)
    DenormalsAreZero() { _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero); }
    ~DenormalsAreZero() { _mm_setcsr(before_); }
#else
    DenormalsAreZero() {}
    ~DenormalsAreZero() {}
#endif
    DenormalsAreZero(const DenormalsAreZero&) = delete;
    DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;

#if defined(__x86_64__)
  private:
    static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;  // bits of MXCSR
    const unsigned before_ = _mm_getcsr();
#endif
};

}  // namespace mobileinst
