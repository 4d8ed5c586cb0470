// Plans on many threads: the same bits as on one, for every tier, and for threads that take turns. Needs no
// test framework, so that it also runs under emulation and sanitizers. Prints failures; exits with 1 if there
// are any.

#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "plan/plan_builder.h"

using namespace mobileinst;

namespace {

constexpr size_t kHeight = 90, kWidth = 70, kChannels = 16;

int failures = 0;

void check(bool ok, const std::string& what) {
    if (!ok) {
        std::printf("failed: %s\n", what.c_str());
        ++failures;
    }
}

std::vector<float> random_floats(size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    std::vector<float> values(count);
    for (float& value : values) {
        value = uniform(random);
    }
    return values;
}

Attribute weights(Tier tier, size_t in, size_t out, size_t kernel, size_t stride, size_t groups) {
    const ConvSpec spec = ConvSpec::of({out, in / groups, kernel, kernel}, stride, groups);
    const std::vector<float> weight = random_floats(spec.weight_count(), static_cast<unsigned>(in + out));
    const std::vector<float> bias = random_floats(out, 5);
    return std::shared_ptr<const ConvWeights>(
        std::make_shared<ConvWeights>(spec, weight.data(), bias.data(), tier, Winograd::F4x4));
}

/// A little of all that a network has: chains of rows, Winograd, products, attention, resizing, in-place
/// sums.
struct Network {
    std::unique_ptr<Plan> plan;
    TensorId input = 0, output = 0;

    Network(Tier tier, const std::shared_ptr<ThreadPool>& pool) {
        PlanBuilder builder(tier);
        const size_t height = (kHeight - 1) / 2 + 1, width = (kWidth - 1) / 2 + 1;
        const auto map = [&] { return builder.tensor(height, width, kChannels); };
        input = builder.tensor(kHeight, kWidth, 3);
        builder.keep(input, true);
        const TensorId stem = map(), residual = map(), dense = map(), tokens = map(), mixed = map();
        const TensorId small = builder.tensor(height / 2, width / 2, kChannels);
        output = map();
        builder.keep(output, false);
        add(builder, "conv", {input}, stem, std::pair("weights", weights(tier, 3, kChannels, 3, 2, 1)));
        add(builder, "inverted_residual", {stem, stem}, residual,
            std::pair("expand", weights(tier, kChannels, 32, 1, 1, 1)),
            std::pair("depthwise", weights(tier, 32, 32, 3, 1, 32)),
            std::pair("project", weights(tier, 32, kChannels, 1, 1, 1)));
        add(builder, "conv", {residual}, dense,
            std::pair("weights", weights(tier, kChannels, kChannels, 3, 1, 1)));
        add(builder, "conv", {dense, residual}, tokens,
            std::pair("weights", weights(tier, kChannels, kChannels, 1, 1, 1)));
        add(builder, "resize", {tokens}, small);
        add(builder, "attention", {tokens, small, small}, mixed, std::pair("heads", int64_t{4}),
            std::pair("scale", 0.5));
        add(builder, "resize", {small, mixed}, output);
        plan = builder.build(pool);
    }

    /// The output's bytes for an image; the caller has the pool.
    std::vector<char> run(const std::vector<float>& image) const {
        const Tensor& x = plan->tensor(input);
        std::memcpy(x.data, image.data(), image.size() * sizeof(float));
        plan->run(0);
        const Tensor& y = plan->tensor(output);
        const char* bytes = static_cast<const char*>(y.data);
        return {bytes, bytes + y.bytes()};
    }

  private:
    template <typename... Values>
    static void add(PlanBuilder& builder, const char* op, std::vector<TensorId> inputs, TensorId output,
                    std::pair<const char*, Values>... attributes) {
        NodeSpec spec;
        spec.op = spec.name = op;
        spec.inputs = std::move(inputs);
        spec.output = output;
        (spec.attributes.emplace(attributes.first, std::move(attributes.second)), ...);
        builder.add(std::move(spec));
    }
};

void test_tier(Tier tier, const std::vector<float>& image) {
    const std::string name = tier_name(tier);
    const std::vector<char> expected = Network(tier, std::make_shared<ThreadPool>(1)).run(image);
    for (const auto& [threads, pieces] : {std::pair<size_t, size_t>{2, 1}, {3, 6}, {7, 1}}) {
        const Network network(tier, std::make_shared<ThreadPool>(threads, pieces));
        for (int round = 0; round < 2; ++round) {
            check(network.run(image) == expected, name + ": the same bits for any number of threads");
        }
    }
    const Network shared(tier, std::make_shared<ThreadPool>(3));
    std::vector<std::thread> users;
    std::vector<int> wrong(2);
    for (int& count : wrong) {
        users.emplace_back([&] {
            for (int round = 0; round < 3; ++round) {
                std::lock_guard<std::mutex> lock(shared.plan->mutex());
                count += shared.run(image) != expected;
            }
        });
    }
    for (std::thread& user : users) {
        user.join();
    }
    for (const int count : wrong) {
        check(count == 0, name + ": the same bits for threads that take turns");
    }
}

}  // namespace

int main() {
    const std::vector<float> image = random_floats(kHeight * kWidth * 3, 1);
    for (const Tier tier : supported_tiers()) {
        test_tier(tier, image);
    }
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
