#pragma once

// Four floats in an armv8-a NEON register. Internal linkage, as the headers of the other instruction sets.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace mobileinst {
namespace {

struct Vec {
    static constexpr size_t kWidth = 4;
    float32x4_t v;

    static Vec load(const float* p) { return {vld1q_f32(p)}; }
    static Vec load_first(const float* p, size_t count) {
        float lanes[4] = {};
        for (size_t i = 0; i < count; ++i) {
            lanes[i] = p[i];
        }
        return {vld1q_f32(lanes)};
    }
    /// The whole vector, or only the first `count` floats (the others 0) where there are fewer.
    static Vec load_up_to(const float* p, size_t count) {
        return count >= kWidth ? load(p) : load_first(p, count);
    }
    static Vec broadcast(const float* p) { return {vld1q_dup_f32(p)}; }
    static Vec fill(float x) { return {vdupq_n_f32(x)}; }
    static Vec zero() { return {vdupq_n_f32(0.0f)}; }
    void store(float* p) const { vst1q_f32(p, v); }
    void store_first(float* p, size_t count) const {
        float lanes[4];
        vst1q_f32(lanes, v);
        for (size_t i = 0; i < count; ++i) {
            p[i] = lanes[i];
        }
    }
    void store_up_to(float* p, size_t count) const {
        if (count >= kWidth) {
            store(p);
        } else {
            store_first(p, count);
        }
    }
};

inline Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
/// a * b + c, rounded once.
inline Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
/// The larger of both; x where it is NaN.
inline Vec at_least(Vec x, Vec lo) { return {vmaxq_f32(lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec clamp(Vec x, Vec lo, Vec hi) { return {vminq_f32(hi.v, vmaxq_f32(lo.v, x.v))}; }

/// x, which is not read from memory again by each instruction that uses it.
inline __attribute__((always_inline)) Vec in_register(Vec x) {
    asm("" : "+w"(x.v));
    return x;
}

/// p, computed here and now: addresses behind it are then immediate offsets, several loads or stores of which
/// make one instruction, instead of sums in registers of their own.
template <typename T>
inline __attribute__((always_inline)) T* settled(T* p) {
    asm("" : "+r"(p));
    return p;
}

/// base + i * step, given the address before it: one addition.
template <typename T>
inline __attribute__((always_inline)) T* next_address(T* previous, T* /*base*/, size_t /*i*/, size_t step) {
    return settled(previous + step);
}

}  // namespace
}  // namespace mobileinst
