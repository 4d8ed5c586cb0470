#include <string>

#include "bindings/bindings.h"

namespace {

namespace py = pybind11;

/// What the module has not itself: single kernels, as `kernels`, in builds for tests. Loaded when asked for.
py::object further_attribute(const std::string& name) {
    if (name == "kernels") {
        try {
            return py::module_::import("mobileinst._testing").attr("kernels");
        } catch (const py::error_already_set& error) {
            if (!error.matches(PyExc_ImportError)) {
                throw;
            }
        }
    }
    throw py::attribute_error("module 'mobileinst._native' has no attribute '" + name + "'");
}

}  // namespace

PYBIND11_MODULE(_native, module) {
    module.doc() = "Native engine of mobileinst: tiers, plans and masks.";
    mobileinst::watch_interpreter_exit();
    mobileinst::register_core(module);
    mobileinst::register_masks(module);
    mobileinst::register_plan_builder(module);
    mobileinst::register_plan(module);
    module.def("__getattr__", &further_attribute, py::arg("name"));
}
