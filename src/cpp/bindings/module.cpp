#include <string>

#include "bindings/bindings.h"

namespace {

namespace py = pybind11;

/// `kernels` in builds without them: who calls one gets an error that says what is missing.
struct AbsentKernels {
    py::cpp_function attribute(const std::string& name) const {
        if (name.rfind("__", 0) == 0) {
            throw py::attribute_error("no attribute '" + name + "'");
        }
        return py::cpp_function([name](const py::args&, const py::kwargs&) {
            throw py::value_error(
                "expected a build with single kernels to call '" + name +
                "', but this one has none: pip install . -C cmake.define.MOBILEINST_TESTING=ON");
        });
    }
};

/// What the module has not itself: single kernels, as `kernels`, from builds for tests. Loaded when asked
/// for.
py::object further_attribute(const std::string& name) {
    if (name == "kernels") {
        try {
            return py::module_::import("mobileinst._testing").attr("kernels");
        } catch (const py::error_already_set& error) {
            if (!error.matches(PyExc_ImportError)) {
                throw;
            }
            return py::cast(AbsentKernels());
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
    py::class_<AbsentKernels>(module, "AbsentKernels").def("__getattr__", &AbsentKernels::attribute);
    module.def("__getattr__", &further_attribute, py::arg("name"));
}
