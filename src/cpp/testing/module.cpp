#include "testing/testing.h"

PYBIND11_MODULE(_testing, module) {
    module.doc() = "Single kernels on NumPy arrays, of any tier, for tests and benchmarks.";
    auto kernels = module.def_submodule("kernels", "Each function runs one kernel.");
    auto timing = module.def_submodule("timing", "Times of single kernels, without Python in the loop.");
    mobileinst::register_convolution_kernels(kernels, timing);
    mobileinst::register_light_kernels(kernels);
    mobileinst::register_peak(timing);
    mobileinst::register_xnnpack_operators(module, timing);
}
