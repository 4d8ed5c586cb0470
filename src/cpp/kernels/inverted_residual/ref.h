#pragma once

#include "kernels/convolution/ref.h"
#include "kernels/inverted_residual/inverted_residual.h"

namespace mobileinst {
namespace {

size_t inverted_residual_expanded_size_ref(const InvertedResidualArgs& args) {
    return args.expand == nullptr ? 0 : args.input.pixels() * args.hidden;
}

template <typename T>
size_t inverted_residual_scratch_size_ref(const InvertedResidualArgs& args) {
    return (inverted_residual_expanded_size_ref(args) + args.output.pixels() * args.hidden) * sizeof(T);
}

/// The three kernels one after the other, over whole maps but for the last.
template <typename T>
void inverted_residual_run_ref(const InvertedResidualArgs& args, size_t begin, size_t end, void* scratch) {
    const Tensor &x = args.input, &y = args.output;
    const auto* expanded = static_cast<const T*>(scratch);
    ConvArgs depthwise;
    depthwise.input = x;
    if (args.expand != nullptr) {
        ConvArgs expand;
        expand.input = x;
        expand.output = make_tensor(x.dtype, expanded, x.height, x.width, args.hidden, args.hidden);
        expand.packed = args.expand;
        expand.epilogue = {args.expand_bias, args.activation, {}};
        conv_rows_ref<T>(expand, 0, x.height, nullptr);
        depthwise.input = expand.output;
    }
    const T* filtered = expanded + inverted_residual_expanded_size_ref(args);
    depthwise.output = make_tensor(x.dtype, filtered, y.height, y.width, args.hidden, args.hidden);
    depthwise.packed = args.depthwise;
    depthwise.kernel = args.kernel;
    depthwise.stride = args.stride;
    depthwise.groups = args.hidden;
    depthwise.epilogue = {args.depthwise_bias, args.activation, {}};
    conv_rows_ref<T>(depthwise, begin, end, nullptr);

    ConvArgs project;
    project.input = depthwise.output;
    project.output = y;
    project.packed = args.project;
    project.epilogue = args.epilogue;
    conv_rows_ref<T>(project, begin, end, nullptr);
}

bool inverted_residual_runs_on_ref(const InvertedResidualArgs& /*args*/) { return false; }

template <typename T>
constexpr InvertedResidualKernels kInvertedResidualRef = {
    inverted_residual_scratch_size_ref<T>, inverted_residual_run_ref<T>, inverted_residual_runs_on_ref};

}  // namespace
}  // namespace mobileinst
