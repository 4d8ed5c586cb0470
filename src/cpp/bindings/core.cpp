#include "bindings/bindings.h"
#include "core/cpu_features.h"
#include "xnnpack/operators.h"

namespace mobileinst {

void register_core(py::module_& module) {
    module.attr("MAX_SIDE") = kMaxSide;
    module.def(
        "tier", [] { return std::string(tier_name(active_tier())); },
        "Name of the instruction-set tier in use: 'ref', 'neon', 'sse', 'avx2', 'avx512' and others.\n\n"
        "Raises ValueError if MOBILEINST_TIER names a tier that is unknown or can't run here.");
    module.def(
        "supported_tiers",
        [] {
            std::vector<std::string> names;
            for (Tier tier : supported_tiers()) {
                names.emplace_back(tier_name(tier));
            }
            return names;
        },
        "Names of the tiers that this machine can run, slowest first.");
    module.def("cpu_features", &cpu_features,
               "The CPU features found, of those that kernels use, in Linux's words.");
    module.def(
        "tier_features", [](const std::string& tier) { return tier_features(tier_from_name(tier)); },
        py::arg("tier"), "The CPU features that a tier's kernels use, in Linux's words.");
    module.def("has_xnnpack", &xnnpack::available,
               "Whether this build has XNNPACK's operators and they run on this machine.");
}

}  // namespace mobileinst
