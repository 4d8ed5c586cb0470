#pragma once

// NEON of armv8.2-a with half-precision arithmetic: eight halves in a register. Included by simd/vec.h.

namespace mobileinst {
namespace {

template <>
struct Vec<Half> {
    static constexpr size_t kWidth = 8;
    float16x8_t v;

    static Vec load(const Half* p) { return {vreinterpretq_f16_u16(vld1q_u16(&p->bits))}; }
    static Vec load_first(const Half* p, size_t count) {
        Half lanes[8] = {};
        for (size_t i = 0; i < count; ++i) {
            lanes[i] = p[i];
        }
        return load(lanes);
    }
    /// The whole vector, or only the first `count` halves (the others 0) where there are fewer.
    static Vec load_up_to(const Half* p, size_t count) {
        return count >= kWidth ? load(p) : load_first(p, count);
    }
    static Vec broadcast(const Half* p) { return {vreinterpretq_f16_u16(vld1q_dup_u16(&p->bits))}; }
    static Vec fill(float x) { return {vdupq_n_f16(static_cast<float16_t>(x))}; }
    static Vec zero() { return {vreinterpretq_f16_u16(vdupq_n_u16(0))}; }
    void store(Half* p) const { vst1q_u16(&p->bits, vreinterpretq_u16_f16(v)); }
    void store_first(Half* p, size_t count) const {
        Half lanes[8];
        store(lanes);
        for (size_t i = 0; i < count; ++i) {
            p[i] = lanes[i];
        }
    }
    void store_up_to(Half* p, size_t count) const {
        if (count >= kWidth) {
            store(p);
        } else {
            store_first(p, count);
        }
    }
};

inline Vec<Half> operator+(Vec<Half> a, Vec<Half> b) { return {vaddq_f16(a.v, b.v)}; }
inline Vec<Half> operator-(Vec<Half> a, Vec<Half> b) { return {vsubq_f16(a.v, b.v)}; }
inline Vec<Half> operator*(Vec<Half> a, Vec<Half> b) { return {vmulq_f16(a.v, b.v)}; }
/// a * b + c, rounded once.
inline Vec<Half> fma(Vec<Half> a, Vec<Half> b, Vec<Half> c) { return {vfmaq_f16(c.v, a.v, b.v)}; }
/// The larger of both; x where it is NaN.
inline Vec<Half> at_least(Vec<Half> x, Vec<Half> lo) { return {vmaxq_f16(lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec<Half> clamp(Vec<Half> x, Vec<Half> lo, Vec<Half> hi) {
    return {vminq_f16(hi.v, vmaxq_f16(lo.v, x.v))};
}
/// w * x[LANE] + c, rounded once. By hand: GCC 12 copies lanes to vectors first. Lanes of registers below v16
/// only can be multiplied with.
template <int LANE>
inline __attribute__((always_inline)) Vec<Half> fma_lane(Vec<Half> w, Vec<Half> x, Vec<Half> c) {
    asm("fmla %0.8h, %1.8h, %2.h[%3]" : "+w"(c.v) : "w"(w.v), "x"(x.v), "i"(LANE));
    return c;
}
/// Four vectors that lie one after the other, by one instruction.
inline __attribute__((always_inline)) void load_four(const Half* p, Vec<Half> (&x)[4]) {
    const uint16x8x4_t loaded = vld1q_u16_x4(&p->bits);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        x[i].v = vreinterpretq_f16_u16(loaded.val[i]);
    }
}
inline Vec<Half> divide(Vec<Half> a, Vec<Half> b) { return {vdivq_f16(a.v, b.v)}; }
inline Vec<Half> larger_of(Vec<Half> a, Vec<Half> b) { return {vmaxq_f16(a.v, b.v)}; }
/// x * 2^n of whole numbers n, where neither x nor the product is 0, denormal or infinite.
inline Vec<Half> times_power_of_two(Vec<Half> x, Vec<Half> n) {
    const int16x8_t exponent = vshlq_n_s16(vcvtq_s16_f16(n.v), 10);
    return {vreinterpretq_f16_s16(vaddq_s16(vreinterpretq_s16_f16(x.v), exponent))};
}

/// x, which is not read from memory again by each instruction that uses it.
inline __attribute__((always_inline)) Vec<Half> in_register(Vec<Half> x) {
    asm("" : "+w"(x.v));
    return x;
}

/// Four halves as floats.
inline Vec<float> load_floats(const Half* p) {
    return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&p->bits)))};
}
/// Floats rounded to four halves.
inline void store_floats(Vec<float> x, Half* p) {
    vst1_u16(&p->bits, vreinterpret_u16_f16(vcvt_f16_f32(x.v)));
}

}  // namespace
}  // namespace mobileinst
