#pragma once

// What tests and benchmarks need of the kernels; nothing of it is in a wheel.

#include <chrono>
#include <vector>

#include "bindings/bindings.h"

namespace mobileinst {

template <typename Run>
double seconds_of(const Run& run) {
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// In how many ranges a kernel does its work, how often it is run again to be timed, and what that took.
struct Execution {
    size_t ranges = 1, timed = 0;
    std::vector<double> seconds;

    /// Calls run(begin, end) for ranges that cover [0, units), without the interpreter's lock; then as often
    /// as is to be timed.
    template <typename Run>
    void operator()(size_t units, const Run& run) {
        const GilRelease release;
        for (size_t i = 0; i < ranges; ++i) {
            const size_t begin = units * i / ranges, end = units * (i + 1) / ranges;
            if (begin < end) {
                run(begin, end);
            }
        }
        for (size_t i = 0; i < timed; ++i) {
            seconds.push_back(seconds_of([&] { run(0, units); }));
        }
    }
};

void register_convolution_kernels(py::module_& kernels, py::module_& timing);
void register_light_kernels(py::module_& kernels);
void register_peak(py::module_& timing);
void register_xnnpack_operators(py::module_& module, py::module_& timing);

}  // namespace mobileinst
