#include "bindings/bindings.h"

PYBIND11_MODULE(_native, module) {
    module.doc() = "Native engine of mobileinst: tiers, plans and masks.";
    mobileinst::watch_interpreter_exit();
    mobileinst::register_core(module);
    mobileinst::register_masks(module);
    mobileinst::register_plan_builder(module);
    mobileinst::register_plan(module);
}
