#include "core/dtype.h"

#include <stdexcept>

namespace mobileinst {

const char* dtype_name(DType dtype) {
    switch (dtype) {
        case DType::Float32:
            return "float32";
        case DType::Float16:
            return "float16";
        case DType::Int8:
            return "int8";
    }
    return "unknown";
}

DType dtype_from_name(const std::string& name) {
    for (const DType dtype : {DType::Float32, DType::Float16, DType::Int8}) {
        if (name == dtype_name(dtype)) {
            return dtype;
        }
    }
    throw std::invalid_argument("dtype: expected 'float32', 'float16' or 'int8', got '" + name + "'");
}

}  // namespace mobileinst
