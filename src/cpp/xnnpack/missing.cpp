// Stands in for operators.cpp in a build without XNNPACK.

#include <stdexcept>

#include "xnnpack/operators.h"

namespace mobileinst::xnnpack {
namespace {

[[noreturn]] void fail() { throw std::runtime_error("this build of mobileinst has no XNNPACK"); }

}  // namespace

bool available() { return false; }

void Operator::Delete::operator()(xnn_operator*) const {}

Operator::Operator(const Convolution&, const float*, const float*) { fail(); }

Operator::Operator(const FullyConnected&, const float*, const float*) { fail(); }

Operator::Operator(const Convolution&, const Quantised&, const int8_t*, const int32_t*) { fail(); }

Operator::Operator(const FullyConnected&, const Quantised&, const int8_t*, const int32_t*) { fail(); }

void Operator::run(const void*, void*, void*, ThreadPool&) const { fail(); }

}  // namespace mobileinst::xnnpack
