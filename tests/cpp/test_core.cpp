// Thread pool and memory layout. Needs no test framework, so that it also runs as a bare program under
// emulation and sanitizers. Prints failures; exits with 1 if there are any.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <mutex>
#include <new>
#include <random>
#include <thread>
#include <utility>
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

/// Makes threads as slow as cores of given speeds, by counts instead of clocks: a range is done only when no
/// other thread's would be done earlier. Which thread takes which range is then the same in every run.
class SlowedThreads {
  public:
    SlowedThreads(std::vector<double> speeds, size_t count)
        : speeds_(std::move(speeds)),
          free_at_(speeds_.size()),
          ends_at_(speeds_.size(), kIdle),
          left_(count) {}

    void work(size_t begin, size_t end, size_t thread) {
        std::unique_lock<std::mutex> lock(mutex_);
        left_ -= end - begin;
        ends_at_[thread] = free_at_[thread] + static_cast<double>(end - begin) / speeds_[thread];
        changed_.notify_all();
        changed_.wait(lock, [&] { return is_next(thread); });
        free_at_[thread] = ends_at_[thread];
        ends_at_[thread] = kIdle;
        changed_.notify_all();
    }

    /// When the last thread was done; 1 is the time that speed 1 takes for one index.
    double end() const { return *std::max_element(free_at_.begin(), free_at_.end()); }

  private:
    static constexpr double kIdle = std::numeric_limits<double>::infinity();

    bool is_next(size_t thread) const {
        // A thread that holds no range will come for one while there are any.
        const bool all_here = std::find(ends_at_.begin(), ends_at_.end(), kIdle) == ends_at_.end();
        return (all_here || left_ == 0) &&
               std::min_element(ends_at_.begin(), ends_at_.end()) - ends_at_.begin() ==
                   static_cast<std::ptrdiff_t>(thread);
    }

    const std::vector<double> speeds_;
    std::vector<double> free_at_, ends_at_;
    size_t left_;
    std::mutex mutex_;
    std::condition_variable changed_;
};

/// Time of the work on slowed threads, relative to one thread of speed 1; every index is done once.
double slowed_time(const std::vector<double>& speeds, size_t pieces) {
    constexpr size_t kCount = 4800;
    ThreadPool pool(speeds.size(), pieces);
    SlowedThreads slowed(speeds, kCount);
    std::vector<int> hits(kCount);
    pool.run(kCount, 1, pool.ranges(1), [&](size_t begin, size_t end, size_t thread) {
        for (size_t i = begin; i < end; ++i) {
            ++hits[i];
        }
        slowed.work(begin, end, thread);
    });
    check(std::count(hits.begin(), hits.end(), 1) == kCount, "slowed threads do each index once");
    return slowed.end() / kCount;
}

void test_slowed_threads() {
    const std::vector<double> phone{1.0, 0.7, 0.7, 0.7, 0.2, 0.2, 0.2, 0.2};  // ideal: 1 / 3.9 = 0.256
    check(std::abs(slowed_time(phone, 1) - 1.0 / 8 / 0.2) < 1e-3,
          "with a range each the slowest is waited for");
    check(slowed_time(phone, 6) <= 0.30, "short ranges keep slow threads from being waited for");
    check(slowed_time({1.0, 1.0, 0.01}, 6) <= 10, "a thread that hardly works gets one range");
    check(std::abs(slowed_time({1.0, 1.0, 1.0, 1.0}, 1) - 0.25) < 1e-3, "equal threads share equally");
}

/// The smallest normal number, halved where no compiler can see it.
bool halves_to_zero() {
    volatile float least = std::numeric_limits<float>::min();
    volatile const float half = least * 0.5f;
    return !(half > 0.0f);
}

/// Denormals are 0 in the work of x86, where they are slow, and what they were in the caller again.
void test_denormals(size_t threads) {
    ThreadPool pool(threads);
    std::atomic<size_t> zeros{0};
    const auto body = [&](size_t begin, size_t end, size_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // so that all threads take some
        zeros += halves_to_zero() ? end - begin : 0;
    };
    pool.run(16, 1, 16, body);
#if defined(__x86_64__)
    check(zeros == 16, "denormals are 0 on x86, whoever works");
#endif
    check(!halves_to_zero(), "denormals of the caller stay");
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

/// What programs of 32 bits meet with large pictures, at sizes of this machine's bits.
void test_memory_that_no_program_can_have() {
    const auto refused = [](const auto& call) {
        try {
            call();
        } catch (const std::bad_alloc&) {
            return true;
        }
        return false;
    };
    const Block third{SIZE_MAX / 3, 0, 1};
    check(lay_out({{SIZE_MAX / 3, 0, 1}, {SIZE_MAX / 3, 2, 3}}).bytes < SIZE_MAX / 2,
          "large blocks one after the other share memory");
    check(refused([&] { lay_out({third, third, third, third}); }), "sums of blocks do not begin anew at 0");
    check(refused([] { lay_out({{SIZE_MAX, 0, 1}}); }), "nor does one block");
}

}  // namespace

int main() {
    for (const size_t threads : {1, 2, 3, 4, 7}) {
        test_pool(threads, 1);
        test_pool(threads, 6);
    }
    test_denormals(1);
    test_denormals(3);
    test_slowed_threads();
    test_layout();
    test_memory_that_no_program_can_have();
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
