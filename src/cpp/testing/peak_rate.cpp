#include <algorithm>
#include <limits>

#include "kernels/kernel_table.h"
#include "kernels/peak/peak.h"
#include "testing/testing.h"

namespace mobileinst {
namespace {

double peak_gflops(const py::object& tier, int milliseconds, const std::string& dtype) {
    check_range("milliseconds", milliseconds, 1, 10'000);
    const PeakKernels& kernels = kernels_of(tier_argument(tier), &KernelTable::peak, dtype_from_name(dtype));
    const GilRelease release;
    constexpr size_t kSteps = 50'000;
    const float seeds[2] = {0.999f, 0.5f};
    float sum = 0.0f;
    double best = std::numeric_limits<double>::infinity(), all = 0.0;
    do {
        const double seconds = seconds_of([&] { kernels.run(kSteps, seeds, &sum); });
        best = std::min(best, seconds);
        all += seconds;
    } while (all * 1000.0 < milliseconds);
    return static_cast<double>(kSteps * kernels.operations) / best * 1e-9;
}

}  // namespace

void register_peak(py::module_& timing) {
    timing.def(
        "peak_gflops", &peak_gflops, py::arg("tier") = py::none(), py::arg("milliseconds") = 50,
        py::arg("dtype") = "float32",
        "Most GFLOP/s, of integers GOP/s, that one core reaches with a tier's multiply-adds on registers.");
}

}  // namespace mobileinst
