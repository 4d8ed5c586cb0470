#pragma once

#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/inverted_residual/inverted_residual.h"

namespace mobileinst {
namespace {

size_t inverted_residual_expanded_size_ref(const InvertedResidualArgs& args) {
    return args.expand == nullptr ? 0 : args.height * args.width * args.hidden;
}

size_t inverted_residual_scratch_size_ref(const InvertedResidualArgs& args) {
    return inverted_residual_expanded_size_ref(args) + args.out_height() * args.out_width() * args.hidden;
}

/// The three kernels one after the other, over whole maps but for the last.
void inverted_residual_run_ref(const InvertedResidualArgs& args, size_t begin, size_t end, float* scratch) {
    float* filtered = scratch + inverted_residual_expanded_size_ref(args);
    DepthwiseArgs depthwise;
    depthwise.input = args.input;
    depthwise.input_ld = args.input_ld;
    if (args.expand != nullptr) {
        const GemmArgs expand{args.input,  args.input_ld,    args.expand,
                              scratch,     args.hidden,      args.height * args.width,
                              args.hidden, args.in_channels, {args.expand_bias, args.activation, nullptr, 0}};
        kGemmRef.run(expand, 0, expand.m);
        depthwise.input = scratch;
        depthwise.input_ld = args.hidden;
    }
    depthwise.packed = args.depthwise;
    depthwise.output = filtered;
    depthwise.output_ld = args.hidden;
    depthwise.height = args.height;
    depthwise.width = args.width;
    depthwise.channels = args.hidden;
    depthwise.kernel = args.kernel;
    depthwise.stride = args.stride;
    depthwise.epilogue = {args.depthwise_bias, args.activation, nullptr, 0};
    kDepthwiseRef.run(depthwise, begin, end);

    const size_t width = args.out_width();
    const GemmArgs project{filtered,          args.hidden,    args.project,
                           args.output,       args.output_ld, args.out_height() * width,
                           args.out_channels, args.hidden,    args.epilogue};
    kGemmRef.run(project, begin * width, end * width);
}

bool inverted_residual_runs_on_ref(const InvertedResidualArgs& /*args*/) { return false; }

constexpr InvertedResidualKernels kInvertedResidualRef = {
    inverted_residual_scratch_size_ref, inverted_residual_run_ref, inverted_residual_runs_on_ref};

}  // namespace
}  // namespace mobileinst
