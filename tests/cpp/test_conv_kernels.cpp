// Compares the convolution and matrix kernels of every tier that runs here with the `ref` tier. Needs no test
// framework, so that it also runs as a bare program under emulation. Prints failures; exits with 1 if there
// are any.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/tier.h"
#include "kernels/conv3x3/conv3x3.h"
#include "kernels/conv_direct/conv_direct.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/inverted_residual/inverted_residual.h"
#include "kernels/transpose/transpose.h"

using namespace mobileinst;

namespace {

constexpr float kPoison = -12345.5f;
constexpr size_t kGuard = 19;  // poisoned floats before and after an output
const Activation kActivations[] = {Activation::None, Activation::Relu, Activation::Relu6,
                                   Activation::HardSigmoid};

std::mt19937 generator(7);
int checks = 0, failures = 0;

size_t pick(std::initializer_list<size_t> choices) {
    return *(choices.begin() + std::uniform_int_distribution<size_t>(0, choices.size() - 1)(generator));
}

std::vector<float> random_floats(size_t count) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    std::generate(values.begin(), values.end(), [&] { return normal(generator); });
    return values;
}

/// An output matrix with a row stride, poisoned outside and between its rows.
struct Output {
    size_t rows, columns, ld;
    std::vector<float> values;

    Output(size_t rows_, size_t columns_, size_t ld_)
        : rows(rows_), columns(columns_), ld(ld_), values(kGuard * 2 + rows_ * ld_, kPoison) {}

    float* data() { return values.data() + kGuard; }
    float at(size_t row, size_t column) const { return values[kGuard + row * ld + column]; }

    bool guards_whole() const {
        for (size_t i = 0; i < values.size(); ++i) {
            const bool inside = i >= kGuard && i < kGuard + rows * ld && (i - kGuard) % ld < columns;
            if (!inside && values[i] != kPoison) {
                return false;
            }
        }
        return true;
    }
};

void compare(const std::string& what, const Output& got, const Output& want, float tolerance) {
    ++checks;
    float worst = 0.0f;
    for (size_t r = 0; r < want.rows; ++r) {
        for (size_t c = 0; c < want.columns; ++c) {
            const float error = std::fabs(got.at(r, c) - want.at(r, c)) / (1.0f + std::fabs(want.at(r, c)));
            worst = error <= worst ? worst : error;  // NaN becomes the worst
        }
    }
    if (!(worst <= tolerance) || !got.guards_whole()) {
        ++failures;
        std::printf("FAILED %s: error %g, guards %s\n", what.c_str(), static_cast<double>(worst),
                    got.guards_whole() ? "whole" : "overwritten");
    }
}

/// Runs [0, units) in `parts` ranges.
template <typename Run>
void run_in_parts(size_t units, size_t parts, Run&& run) {
    for (size_t i = 0; i < parts; ++i) {
        run(units * i / parts, units * (i + 1) / parts);
    }
}

/// Compares run(tier, parts, output) over tiers with ref, and over ways to split the work with each other.
template <typename Run>
void check_tiers(const std::string& what, size_t rows, size_t columns, float tolerance, Run&& run) {
    const size_t ld = columns + pick({0, 1, 5, 16});
    Output want(rows, columns, ld);
    run(Tier::Ref, 1, want);
    for (const Tier tier : supported_tiers()) {
        Output whole(rows, columns, ld);
        run(tier, 1, whole);
        const std::string name = what + " " + tier_name(tier);
        compare(name, whole, want, tolerance);
        for (const size_t parts : {2, 3, 7}) {
            Output split(rows, columns, ld);
            run(tier, parts, split);
            compare(name + " in " + std::to_string(parts) + " parts", split, whole, 0.0f);
        }
    }
}

struct EpilogueData {
    std::vector<float> bias, residual;
    Epilogue epilogue;

    EpilogueData(size_t rows, size_t columns) : bias(random_floats(columns)) {
        const size_t ld = columns + pick({0, 3});
        residual = random_floats(rows * ld);
        epilogue.bias = pick({0, 1, 1}) ? bias.data() : nullptr;
        epilogue.residual = pick({0, 1}) ? residual.data() : nullptr;
        epilogue.residual_ld = ld;
        epilogue.activation = kActivations[pick({0, 1, 2, 3})];
    }
};

std::string text(std::initializer_list<size_t> numbers) {
    std::string result;
    for (const size_t number : numbers) {
        result += ' ' + std::to_string(number);
    }
    return result;
}

void test_gemm() {
    const size_t m = pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 65, 97}), lda_extra = pick({0, 1, 7});
    const size_t n = pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97});
    const size_t k = pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 65, 97});
    const std::vector<float> a = random_floats(m * (k + lda_extra)), w = random_floats(n * k);
    const EpilogueData data(m, n);
    check_tiers("gemm" + text({m, n, k}), m, n, 2e-5f, [&](Tier tier, size_t parts, Output& output) {
        const GemmKernels& kernels = gemm_kernels(tier);
        AlignedBuffer packed(kernels.packed_size(n, k));
        kernels.pack(w.data(), k, n, k, packed.data());
        const GemmArgs args{a.data(), k + lda_extra, packed.data(), output.data(), output.ld, m, n,
                            k,        data.epilogue};
        run_in_parts(m, parts, [&](size_t begin, size_t end) { kernels.run(args, begin, end); });
    });
}

void test_conv3x3() {
    const size_t height = pick({1, 2, 3, 4, 5, 8, 11, 17}), width = pick({1, 2, 3, 4, 5, 8, 13, 33});
    const size_t in = pick({1, 3, 7, 8, 16, 17, 33}), out = pick({1, 3, 8, 9, 16, 31, 32, 33, 65});
    const size_t input_ld = in + pick({0, 1, 8});
    const std::vector<float> input = random_floats(height * width * input_ld),
                             w = random_floats(out * in * 9);
    const EpilogueData data(height * width, out);
    const size_t tile = pick({4, 6, 8});
    check_tiers(
        "conv3x3" + text({height, width, in, out, tile}), height * width, out, tile == 8 ? 2e-3f : 2e-4f,
        [&](Tier tier, size_t parts, Output& output) {
            const Conv3x3Kernels& kernels = conv3x3_kernels(tier, static_cast<Winograd>(tile));
            AlignedBuffer packed(kernels.packed_size(in, out));
            AlignedBuffer scratch(std::max<size_t>(1, kernels.scratch_size(in, out)));
            kernels.pack(w.data(), in, out, packed.data());
            const Conv3x3Args args{input.data(), input_ld, packed.data(), output.data(), output.ld, height,
                                   width,        in,       out,           data.epilogue};
            run_in_parts(kernels.units(args), parts,
                         [&](size_t begin, size_t end) { kernels.run(args, begin, end, scratch.data()); });
        });
}

void test_depthwise() {
    const size_t height = pick({1, 2, 3, 5, 8, 17}), width = pick({1, 2, 3, 4, 7, 8, 9, 16, 33});
    const size_t channels = pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65});
    const size_t kernel = pick({1, 3, 3, 5, 5, 7}), stride = pick({1, 2, 3}),
                 input_ld = channels + pick({0, 1, 8});
    const std::vector<float> input = random_floats(height * width * input_ld);
    const std::vector<float> w = random_floats(channels * kernel * kernel);
    DepthwiseArgs args;
    args.input = input.data();
    args.input_ld = input_ld;
    args.height = height;
    args.width = width;
    args.channels = channels;
    args.kernel = kernel;
    args.stride = stride;
    const EpilogueData data(args.out_height() * args.out_width(), channels);
    args.epilogue = data.epilogue;
    check_tiers("depthwise" + text({height, width, channels, kernel, stride}),
                args.out_height() * args.out_width(), channels, 2e-5f,
                [&](Tier tier, size_t parts, Output& output) {
                    const DepthwiseKernels& kernels = depthwise_kernels(tier);
                    AlignedBuffer packed(kernels.packed_size(channels, kernel));
                    kernels.pack(w.data(), channels, kernel, packed.data());
                    args.packed = packed.data();
                    args.output = output.data();
                    args.output_ld = output.ld;
                    run_in_parts(args.out_height(), parts,
                                 [&](size_t begin, size_t end) { kernels.run(args, begin, end); });
                });
}

void test_conv_direct() {
    const size_t height = pick({1, 2, 3, 5, 8, 17}), width = pick({1, 2, 3, 4, 7, 16, 33});
    const size_t groups = pick({1, 1, 1, 2, 3}), in = groups * pick({1, 2, 3, 5, 8});
    const size_t out = groups * pick({1, 3, 8, 9, 16, 17, 31, 32, 33});
    const size_t kernel = pick({1, 3, 3, 5}), stride = pick({1, 2, 2, 3}), input_ld = in + pick({0, 0, 1});
    const std::vector<float> input = random_floats(height * width * input_ld);
    const std::vector<float> w = random_floats(out * (in / groups) * kernel * kernel);
    ConvDirectArgs args;
    args.input = input.data();
    args.input_ld = input_ld;
    args.height = height;
    args.width = width;
    args.in_channels = in;
    args.out_channels = out;
    args.kernel = kernel;
    args.stride = stride;
    args.groups = groups;
    const EpilogueData data(args.out_height() * args.out_width(), out);
    args.epilogue = data.epilogue;
    check_tiers("conv_direct" + text({height, width, in, out, kernel, stride, groups}),
                args.out_height() * args.out_width(), out, 2e-5f,
                [&](Tier tier, size_t parts, Output& output) {
                    const ConvDirectKernels& kernels = conv_direct_kernels(tier);
                    AlignedBuffer packed(kernels.packed_size(in, out, kernel, groups));
                    kernels.pack(w.data(), in, out, kernel, groups, packed.data());
                    args.packed = packed.data();
                    args.output = output.data();
                    args.output_ld = output.ld;
                    run_in_parts(args.out_height(), parts,
                                 [&](size_t begin, size_t end) { kernels.run(args, begin, end); });
                });
}

void test_inverted_residual() {
    InvertedResidualArgs args;
    args.height = pick({1, 2, 3, 5, 8, 17});
    args.width = pick({1, 2, 3, 4, 7, 16, 33, 700});
    args.in_channels = pick({1, 3, 8, 16, 17});
    const bool expands = pick({0, 1, 1}) != 0;
    args.hidden = expands ? pick({1, 3, 8, 16, 17, 48, 96}) : args.in_channels;
    args.out_channels = pick({1, 3, 8, 16, 17, 33});
    args.kernel = pick({3, 5});
    args.stride = pick({1, 2});
    args.input_ld = args.in_channels + pick({0, 1, 8});
    args.activation = kActivations[pick({0, 1, 2})];
    const std::vector<float> input = random_floats(args.height * args.width * args.input_ld);
    const std::vector<float> expand = random_floats(args.hidden * args.in_channels);
    const std::vector<float> filter = random_floats(args.hidden * args.kernel * args.kernel);
    const std::vector<float> project = random_floats(args.out_channels * args.hidden);
    const std::vector<float> biases = random_floats(2 * args.hidden);
    const EpilogueData data(args.out_height() * args.out_width(), args.out_channels);
    args.input = input.data();
    args.expand_bias = biases.data();
    args.depthwise_bias = pick({0, 1}) ? biases.data() + args.hidden : nullptr;
    args.epilogue = data.epilogue;
    check_tiers(
        "inverted_residual" + text({args.height, args.width, args.in_channels, args.hidden, args.out_channels,
                                    args.kernel, args.stride, expands}),
        args.out_height() * args.out_width(), args.out_channels, 5e-5f,
        [&](Tier tier, size_t parts, Output& output) {
            const GemmKernels& gemm = gemm_kernels(tier);
            const DepthwiseKernels& depthwise = depthwise_kernels(tier);
            const InvertedResidualKernels& kernels = inverted_residual_kernels(tier);
            AlignedBuffer packed_expand(gemm.packed_size(args.hidden, args.in_channels));
            AlignedBuffer packed_filter(depthwise.packed_size(args.hidden, args.kernel));
            AlignedBuffer packed_project(gemm.packed_size(args.out_channels, args.hidden));
            gemm.pack(expand.data(), args.in_channels, args.hidden, args.in_channels, packed_expand.data());
            depthwise.pack(filter.data(), args.hidden, args.kernel, packed_filter.data());
            gemm.pack(project.data(), args.hidden, args.out_channels, args.hidden, packed_project.data());
            args.expand = expands ? packed_expand.data() : nullptr;
            args.depthwise = packed_filter.data();
            args.project = packed_project.data();
            args.output = output.data();
            args.output_ld = output.ld;
            AlignedBuffer scratch(kernels.scratch_size(args));
            std::fill_n(scratch.data(), scratch.size(), NAN);
            run_in_parts(args.out_height(), parts,
                         [&](size_t begin, size_t end) { kernels.run(args, begin, end, scratch.data()); });
        });
}

void test_transpose() {
    const size_t rows = pick({1, 3, 4, 7, 8, 31, 33, 70}), columns = pick({1, 2, 3, 4, 5, 8, 9, 17, 100});
    const size_t input_ld = columns + pick({0, 1, 8});
    const std::vector<float> input = random_floats(rows * input_ld);
    for (const Tier tier : supported_tiers()) {
        Output output(columns, rows, rows + 3);
        transpose_kernels(tier).run({input.data(), input_ld, output.data(), output.ld, rows, columns});
        bool equal = output.guards_whole();
        for (size_t row = 0; row < rows; ++row) {
            for (size_t column = 0; column < columns; ++column) {
                equal = equal && output.at(column, row) == input[row * input_ld + column];
            }
        }
        ++checks;
        if (!equal) {
            ++failures;
            std::printf("transpose%s: wrong on %s\n", text({rows, columns}).c_str(), tier_name(tier));
        }
    }
}

}  // namespace

int main() {
    for (int i = 0; i < 200; ++i) {
        test_gemm();
        test_conv3x3();
        test_depthwise();
        test_conv_direct();
        test_inverted_residual();
        test_transpose();
    }
    std::printf("%d checks, %d failures, tiers:", checks, failures);
    for (const Tier tier : supported_tiers()) {
        std::printf(" %s", tier_name(tier));
    }
    std::printf("\n");
    return failures == 0 ? 0 : 1;
}
