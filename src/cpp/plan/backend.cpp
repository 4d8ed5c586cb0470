#include "plan/backend.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

Backend choose_backend() {
    const char* variable = std::getenv("MOBILEINST_BACKEND");
    const std::string wanted = variable == nullptr ? "" : variable;
    if (wanted.empty() || wanted == backend_name(Backend::Native)) {
        return Backend::Native;
    }
    if (wanted != backend_name(Backend::Xnnpack)) {
        throw std::invalid_argument(
            "environment variable MOBILEINST_BACKEND: expected native or xnnpack, got '" + wanted + "'");
    }
    if (!xnnpack::available()) {
        throw std::invalid_argument(
            "environment variable MOBILEINST_BACKEND: xnnpack is not in this build or can't run here");
    }
    return Backend::Xnnpack;
}

}  // namespace

const char* backend_name(Backend backend) { return backend == Backend::Native ? "native" : "xnnpack"; }

Backend active_backend() {
    static const Backend backend = choose_backend();
    return backend;
}

}  // namespace mobileinst
