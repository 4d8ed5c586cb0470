// Compares the convolution and matrix kernels of every tier that runs here with the `ref` tier. Needs no test
// framework, so that it also runs as a bare program under emulation. Prints failures; exits with 1 if there
// are any.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/tier.h"
#include "kernels/conv3x3/conv3x3.h"
#include "kernels/convolution/convolution.h"
#include "kernels/inverted_residual/inverted_residual.h"
#include "kernels/kernel_table.h"
#include "kernels/transpose/transpose.h"

using namespace mobileinst;

namespace {

constexpr float kPoison = -12345.5f;
constexpr size_t kGuard = 19;  // poisoned floats before and after an output
const Activation kActivations[] = {Activation::None, Activation::Relu, Activation::Relu6,
                                   Activation::HardSigmoid};

std::mt19937 generator(7);
int checks = 0, failures = 0;
double largest_share = 0.0;  // of an error limit, that an error took

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

/// How far apart rounding takes two ways to compute the same sums of products of unit normal numbers.
///
/// A sum of n such products has the standard deviation sqrt(n); its partial sums have those of 1, 2, ... n,
/// and each is rounded to the unit roundoff u, evenly, so with a standard deviation of u / sqrt(3) at most.
/// That makes u n / sqrt(6) for one way and u n / sqrt(3) for the difference of two. Where sums are fed to
/// sums, the deviations multiply, and each sum adds sqrt(n) times the deviation of the whole. Bias, residual
/// and activation are three roundings more. A result of k deviations has partial sums about k times as large.
/// The limit is eight deviations, which one normal number in 10^15 exceeds, whatever numbers a library draws.
class Rounding {
  public:
    /// Sums of so many products each, the next of results of the one before.
    static Rounding of_sums(std::initializer_list<size_t> counts) {
        double deviation = 1.0, roundings = 3.0;
        for (const size_t count : counts) {
            deviation *= std::sqrt(static_cast<double>(count));
            roundings += std::sqrt(static_cast<double>(count));
        }
        return {deviation, deviation * roundings};
    }

    /// Winograd's F(tile x tile, 3x3) over so many channels. With the transforms A, B and G, an error of the
    /// product i comes to the output k with A_ki, beside factors of deviation |B_i| and |G_i|: max over k of
    /// sum_i A_ki^2 |B_i|^2 |G_i|^2 is the growth in two dimensions. It depends on the points alone: 94 for
    /// those of F(4x4), 139 for F(6x6), 972 for F(8x8). The transforms are some eight roundings.
    static Rounding of_winograd(size_t tile, size_t channels) {
        const double sum = std::sqrt(static_cast<double>(channels));
        const double growth = tile == 4 ? 94.0 : tile == 6 ? 139.0 : 972.0;
        return {3.0 * sum, growth * sum * (sum + 3.0 + 8.0)};
    }

    /// No difference at all.
    static Rounding none() { return {1.0, 0.0}; }

    double limit(float want) const {
        constexpr double kUnit = 1.0 / (1 << 24), kDeviations = 8.0;
        return kDeviations * kUnit / std::sqrt(3.0) * error_ * std::max(1.0, std::fabs(want) / deviation_);
    }

  private:
    Rounding(double deviation, double error) : deviation_(deviation), error_(error) {}

    double deviation_, error_;
};

void compare(const std::string& what, const Output& got, const Output& want, const Rounding& rounding) {
    ++checks;
    bool close = true;
    double worst = 0.0;
    for (size_t r = 0; r < want.rows; ++r) {
        for (size_t c = 0; c < want.columns; ++c) {
            const double error = std::fabs(got.at(r, c) - want.at(r, c)),
                         limit = rounding.limit(want.at(r, c));
            close = close && error <= limit;  // not for NaN
            worst = std::max(worst, limit > 0.0 ? error / limit : error);
        }
    }
    largest_share = std::max(largest_share, worst);
    if (!close || !got.guards_whole()) {
        ++failures;
        std::printf("FAILED %s: %g of the limit, guards %s\n", what.c_str(), worst,
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
void check_tiers(const std::string& what, size_t rows, size_t columns, const Rounding& rounding, Run&& run) {
    const size_t ld = columns + pick({0, 1, 5, 16});
    Output want(rows, columns, ld);
    run(Tier::Ref, 1, want);
    for (const Tier tier : supported_tiers()) {
        Output whole(rows, columns, ld);
        run(tier, 1, whole);
        const std::string name = what + " " + tier_name(tier);
        compare(name, whole, want, rounding);
        for (const size_t parts : {2, 3, 7}) {
            Output split(rows, columns, ld);
            run(tier, parts, split);
            compare(name + " in " + std::to_string(parts) + " parts", split, whole, Rounding::none());
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
        if (pick({0, 1})) {
            epilogue.residual = float_tensor(residual.data(), 1, rows, columns, ld);
        }
        epilogue.activation = kActivations[pick({0, 1, 2, 3})];
    }
};

/// Weights as a tier packs them.
AlignedBuffer packed(const ConvKernels& kernels, const ConvSpec& spec, const std::vector<float>& weights) {
    AlignedBuffer buffer(kernels.packed_size(spec));
    kernels.pack(spec, weights.data(), buffer.data());
    return buffer;
}

std::string text(std::initializer_list<size_t> numbers) {
    std::string result;
    for (const size_t number : numbers) {
        result += ' ' + std::to_string(number);
    }
    return result;
}

/// Compares a convolution of random data over tiers; kernels_of(tier) gives the kernels.
template <typename KernelsOf>
void check_convolution(const std::string& what, const ConvSpec& spec, size_t height, size_t width,
                       const Rounding& rounding, const KernelsOf& kernels_of) {
    const size_t input_ld = spec.in_channels + pick({0, 1, 8});
    const size_t out_height = spec.strided(height), out_width = spec.strided(width);
    const std::vector<float> input = random_floats(height * width * input_ld),
                             weights = random_floats(spec.weight_count());
    const EpilogueData data(out_height * out_width, spec.out_channels);
    ConvArgs args;
    args.input = float_tensor(input.data(), height, width, spec.in_channels, input_ld);
    args.kernel = spec.kernel;
    args.stride = spec.stride;
    args.groups = spec.groups;
    args.epilogue = data.epilogue;
    check_tiers(
        what +
            text({height, width, spec.in_channels, spec.out_channels, spec.kernel, spec.stride, spec.groups}),
        out_height * out_width, spec.out_channels, rounding, [&](Tier tier, size_t parts, Output& output) {
            const ConvKernels& kernels = kernels_of(tier);
            const AlignedBuffer weights_packed = packed(kernels, spec, weights);
            args.packed = weights_packed.data();
            args.output = float_tensor(output.data(), out_height, out_width, spec.out_channels, output.ld);
            AlignedBuffer scratch(kernels.scratch_size(args));
            run_in_parts(kernels.units(args), parts,
                         [&](size_t begin, size_t end) { kernels.run(args, begin, end, scratch.data()); });
        });
}

void test_gemm() {
    const size_t m = pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 65, 97});
    const size_t n = pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97});
    const size_t k = pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 65, 97});
    check_convolution("gemm", {k, n, 1, 1, 1}, 1, m, Rounding::of_sums({k}),
                      [](Tier tier) -> const ConvKernels& { return kernels_of(tier, &KernelTable::gemm); });
}

void test_conv3x3() {
    const size_t height = pick({1, 2, 3, 4, 5, 8, 11, 17}), width = pick({1, 2, 3, 4, 5, 8, 13, 33});
    const size_t in = pick({1, 3, 7, 8, 16, 17, 33}), out = pick({1, 3, 8, 9, 16, 31, 32, 33, 65});
    const size_t tile = pick({4, 6, 8});
    check_convolution("conv3x3 F" + std::to_string(tile), {in, out, 3, 1, 1}, height, width,
                      Rounding::of_winograd(tile, in), [&](Tier tier) -> const ConvKernels& {
                          return conv3x3_kernels(tier, static_cast<Winograd>(tile));
                      });
}

void test_depthwise() {
    const size_t height = pick({1, 2, 3, 5, 8, 17}), width = pick({1, 2, 3, 4, 7, 8, 9, 16, 33});
    const size_t channels = pick({1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65});
    const size_t kernel = pick({1, 3, 3, 5, 5, 7}), stride = pick({1, 2, 3});
    check_convolution("depthwise", {channels, channels, kernel, stride, channels}, height, width,
                      Rounding::of_sums({kernel * kernel}), [](Tier tier) -> const ConvKernels& {
                          return kernels_of(tier, &KernelTable::depthwise);
                      });
}

void test_conv_direct() {
    const size_t height = pick({1, 2, 3, 5, 8, 17}), width = pick({1, 2, 3, 4, 7, 16, 33});
    const size_t groups = pick({1, 1, 1, 2, 3}), in = groups * pick({1, 2, 3, 5, 8});
    const size_t out = groups * pick({1, 3, 8, 9, 16, 17, 31, 32, 33});
    const size_t kernel = pick({1, 3, 3, 5}), stride = pick({1, 2, 2, 3});
    check_convolution(
        "conv_direct", {in, out, kernel, stride, groups}, height, width,
        Rounding::of_sums({in / groups * kernel * kernel}),
        [](Tier tier) -> const ConvKernels& { return kernels_of(tier, &KernelTable::conv_direct); });
}

void test_inverted_residual() {
    const size_t height = pick({1, 2, 3, 5, 8, 17}), width = pick({1, 2, 3, 4, 7, 16, 33, 700});
    const size_t in = pick({1, 3, 8, 16, 17}), out = pick({1, 3, 8, 16, 17, 33});
    const bool expands = pick({0, 1, 1}) != 0;
    InvertedResidualArgs args;
    args.hidden = expands ? pick({1, 3, 8, 16, 17, 48, 96}) : in;
    args.kernel = pick({3, 5});
    args.stride = pick({1, 2});
    args.activation = kActivations[pick({0, 1, 2})];
    const ConvSpec expand{in, args.hidden, 1, 1, 1}, project{args.hidden, out, 1, 1, 1},
        filter{args.hidden, args.hidden, args.kernel, args.stride, args.hidden};
    const size_t input_ld = in + pick({0, 1, 8}), out_height = filter.strided(height),
                 out_width = filter.strided(width);
    const std::vector<float> input = random_floats(height * width * input_ld);
    const std::vector<float> expand_weights = random_floats(expand.weight_count());
    const std::vector<float> filter_weights = random_floats(filter.weight_count());
    const std::vector<float> project_weights = random_floats(project.weight_count());
    const std::vector<float> biases = random_floats(2 * args.hidden);
    const EpilogueData data(out_height * out_width, out);
    const Rounding rounding = Rounding::of_sums({expands ? in : 1, args.kernel * args.kernel, args.hidden});
    args.input = float_tensor(input.data(), height, width, in, input_ld);
    args.expand_bias = biases.data();
    args.depthwise_bias = pick({0, 1}) ? biases.data() + args.hidden : nullptr;
    args.epilogue = data.epilogue;
    check_tiers(
        "inverted_residual" + text({height, width, in, args.hidden, out, args.kernel, args.stride, expands}),
        out_height * out_width, out, rounding, [&](Tier tier, size_t parts, Output& output) {
            const ConvKernels& gemm = kernels_of(tier, &KernelTable::gemm);
            const AlignedBuffer packed_expand = packed(gemm, expand, expand_weights),
                                packed_filter =
                                    packed(kernels_of(tier, &KernelTable::depthwise), filter, filter_weights),
                                packed_project = packed(gemm, project, project_weights);
            const InvertedResidualKernels& kernels = kernels_of(tier, &KernelTable::inverted_residual);
            args.expand = expands ? packed_expand.data() : nullptr;
            args.depthwise = packed_filter.data();
            args.project = packed_project.data();
            args.output = float_tensor(output.data(), out_height, out_width, out, output.ld);
            AlignedBuffer scratch(kernels.scratch_size(args));
            std::fill_n(scratch.floats(), scratch.size() / sizeof(float), NAN);
            run_in_parts(out_height, parts,
                         [&](size_t begin, size_t end) { kernels.run(args, begin, end, scratch.data()); });
        });
}

void test_transpose() {
    const size_t rows = pick({1, 3, 4, 7, 8, 31, 33, 70}), columns = pick({1, 2, 3, 4, 5, 8, 9, 17, 100});
    const size_t input_ld = columns + pick({0, 1, 8});
    const std::vector<float> input = random_floats(rows * input_ld);
    for (const Tier tier : supported_tiers()) {
        Output output(columns, rows, rows + 3);
        kernels_of(tier, &KernelTable::transpose)
            .run({float_tensor(input.data(), 1, rows, columns, input_ld),
                  float_tensor(output.data(), 1, columns, rows, output.ld)});
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

/// The argument, if there is one, is the seed of the random numbers.
int main(int argc, char** argv) {
    if (argc > 1) {
        generator.seed(static_cast<std::mt19937::result_type>(std::strtoul(argv[1], nullptr, 10)));
    }
    for (int i = 0; i < 200; ++i) {
        test_gemm();
        test_conv3x3();
        test_depthwise();
        test_conv_direct();
        test_inverted_residual();
        test_transpose();
    }
    std::printf("%d checks, %d failures, at most %.0f %% of a limit, tiers:", checks, failures,
                100.0 * largest_share);
    for (const Tier tier : supported_tiers()) {
        std::printf(" %s", tier_name(tier));
    }
    std::printf("\n");
    return failures == 0 ? 0 : 1;
}
