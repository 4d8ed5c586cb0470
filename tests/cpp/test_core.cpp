// Thread pool and memory layout. Needs no test framework, so that it also runs as a bare program under
// emulation and sanitizers. Prints failures; exits with 1 if there are any.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "plan/layout.h"

using namespace mobileinst;

namespace {

int failures = 0;

void check(bool ok, const char* what) {
    if (!ok) {
        std::printf("failed: %s\n", what);
        ++failures;
    }
}

/// Every index once, ranges at multiples of the grain, no thread number used twice at a time.
void test_pool(size_t threads, size_t pieces) {
    ThreadPool pool(threads, pieces);
    check(pool.threads() == threads, "the pool counts its caller");
    std::vector<int> hits(1000);
    for (size_t round = 0; round < 1500; ++round) {
        const size_t count = round % 997, grain = 1 + round % 7, chunks = 1 + round % 13;
        std::fill(hits.begin(), hits.end(), 0);
        std::vector<std::atomic<int>> busy(threads);
        std::atomic<size_t> ranges{0};
        std::atomic<bool> ok{true};
        pool.run(count, grain, chunks, [&](size_t begin, size_t end, size_t thread) {
            if (busy[thread].exchange(1) != 0 || begin % grain != 0 || begin >= end) {
                ok = false;
            }
            for (size_t i = begin; i < end; ++i) {
                ++hits[i];
            }
            ++ranges;
            busy[thread] = 0;
        });
        for (size_t i = 0; i < hits.size(); ++i) {
            ok = ok && hits[i] == (i < count ? 1 : 0);
        }
        check(ok && ranges <= chunks, "each index once, in aligned ranges");
        if (round % 500 == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));  // let the workers fall asleep
        }
    }
}

/// Blocks that live at the same time lie apart; the arena is not wastefully large.
void test_layout() {
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        std::vector<Block> blocks(1 + random() % 40);
        for (Block& block : blocks) {
            block.bytes = 1 + random() % 2000;
            block.first = random() % 30;
            block.last = block.first + random() % 6;
        }
        const Layout layout = lay_out(blocks);
        size_t sum = 0;
        bool apart = true;
        for (size_t i = 0; i < blocks.size(); ++i) {
            const Block& a = blocks[i];
            sum += whole_cache_lines(a.bytes);
            apart =
                apart && layout.offsets[i] % kAlignment == 0 && layout.offsets[i] + a.bytes <= layout.bytes;
            for (size_t j = 0; j < i; ++j) {
                const Block& b = blocks[j];
                const bool both_alive = a.first <= b.last && b.first <= a.last;
                const bool overlap = layout.offsets[i] < layout.offsets[j] + b.bytes &&
                                     layout.offsets[j] < layout.offsets[i] + a.bytes;
                apart = apart && !(both_alive && overlap);
            }
        }
        check(apart, "blocks that live together lie apart");
        check(layout.bytes <= sum, "the arena is at most as large as all blocks");
    }
    const Layout chain = lay_out({{640, 0, 1}, {640, 1, 2}, {640, 2, 3}, {640, 3, 4}});
    check(chain.bytes == 1280, "a chain of nodes needs two blocks");
    check(lay_out({}).bytes == 0, "no blocks need no memory");
}

}  // namespace

int main() {
    for (const size_t threads : {1, 2, 3, 4, 7}) {
        test_pool(threads, 1);
        test_pool(threads, 6);
    }
    test_layout();
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
