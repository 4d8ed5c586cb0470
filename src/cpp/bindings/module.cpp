#include "bindings/bindings.h"

PYBIND11_MODULE(_native, module) {
    module.doc() = "Native engine of mobileinst: tiers, plans, masks, and single kernels for tests.";
    mobileinst::register_core(module);
}
