#include "bindings/bindings.h"

PYBIND11_MODULE(_native, module) {
    module.doc() = "Native engine of mobileinst: tiers, plans, masks, and single kernels for tests.";
    mobileinst::register_core(module);
    mobileinst::register_masks(module);
    mobileinst::register_plan(module);

    auto kernels = module.def_submodule("kernels", "Single kernels on NumPy arrays, of any tier, for tests.");
    mobileinst::register_kernels_conv(kernels);
    mobileinst::register_kernels_light(kernels);
    mobileinst::register_benchmark(module);
    mobileinst::register_xnnpack(module);
}
