#include "core/thread_pool.h"

#if !defined(_WIN32)
#include <unistd.h>
#endif

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "core/denormals.h"

namespace mobileinst {
namespace {

/// How long an idle worker yields before it sleeps: longer than the gap between two nodes of a plan, much
/// shorter than the gap between two frames.
constexpr std::chrono::microseconds kYieldTime{100};

/// Which process this is, to tell one that was forked off; Windows has no such thing.
long process_id() {
#if defined(_WIN32)
    return 0;
#else
    return getpid();
#endif
}

uint32_t unclaimed(uint64_t state) { return static_cast<uint32_t>(state); }

/// Where range `chunk` of `chunks` begins, in grains: ranges are equal, or their lengths fall evenly to a
/// fifth.
size_t first_grain(uint64_t chunk, uint64_t chunks, uint64_t grains, bool falling) {
    if (!falling) {
        return chunk * grains / chunks;
    }
    const auto share =
        static_cast<double>(chunk * (5 * chunks - 2 * chunk)) / static_cast<double>(3 * chunks * chunks);
    return static_cast<size_t>(share * static_cast<double>(grains));
}

}  // namespace

ThreadPool::ThreadPool(size_t threads, size_t pieces) : pieces_(pieces), process_(process_id()) {
    if (threads == 0 || pieces == 0) {
        throw std::invalid_argument("a thread pool needs at least 1 thread and 1 piece of work for it");
    }
    auto user = std::make_unique<User>(process_);
    workers_.reserve(threads - 1);
    try {
        for (size_t i = 1; i < threads; ++i) {
            workers_.emplace_back([this, i] { work(i); });
        }
    } catch (...) {
        stop();
        throw;
    }
    user_.store(user.release());
}

ThreadPool::~ThreadPool() {
    stop();
    User* user = user_.load();
    if (user->process == process_id()) {
        delete user;  // another process's mutex may be locked for ever
    }
}

std::mutex& ThreadPool::mutex() {
    User* user = user_.load(std::memory_order_acquire);
    const long process = process_id();
    if (user->process != process) {
        auto own = std::make_unique<User>(process);
        // of several threads that come here at once one succeeds; the others find its mutex in `user`
        if (user_.compare_exchange_strong(user, own.get(), std::memory_order_acq_rel)) {
            user = own.release();
        }
    }
    return user->mutex;
}

bool ThreadPool::forked() const { return process_id() != process_; }

void ThreadPool::stop() {
    if (forked()) {
        // Joining workers that don't exist here, or destroying what they waited for, would never end.
        static_cast<void>(new std::vector<std::thread>(std::move(workers_)));
        static_cast<void>(wake_.release());
        return;
    }
    {
        std::lock_guard<std::mutex> lock(sleep_);
        stopping_.store(true);
    }
    wake_->notify_all();
    for (std::thread& worker : workers_) {
        worker.join();
    }
}

void ThreadPool::run_job(Call call, const void* context, size_t count, size_t grain, size_t chunks) {
    if (count == 0) {
        return;
    }
    grain = std::max<size_t>(grain, 1);
    const DenormalsAreZero denormals;
    const size_t grains = (count + grain - 1) / grain;
    chunks = std::max<size_t>(std::min({chunks, grains, size_t{1} << 20}), 1);
    if (workers_.empty() || chunks == 1 || forked()) {
        call(context, 0, count, 0);
        return;
    }
    call_.store(call, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    count_.store(count, std::memory_order_relaxed);
    grain_.store(grain, std::memory_order_relaxed);
    chunks_.store(chunks, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    publish(static_cast<uint32_t>(chunks));
    take_chunks(0);
    while (done_.load(std::memory_order_acquire) != chunks) {
        std::this_thread::yield();
    }
}

void ThreadPool::publish(uint32_t chunks) {
    bool wake = false;
    {
        // under the lock, so that no worker falls asleep between its last look and this
        std::lock_guard<std::mutex> lock(sleep_);
        const uint64_t job = (state_.load(std::memory_order_relaxed) >> 32) + 1;
        state_.store(job << 32 | chunks, std::memory_order_release);
        wake = sleepers_ > 0;
    }
    if (wake) {
        wake_->notify_all();
    }
}

void ThreadPool::take_chunks(size_t thread) {
    uint64_t state = state_.load(std::memory_order_acquire);
    while (unclaimed(state) != 0) {
        const Call call = call_.load(std::memory_order_relaxed);
        const void* context = context_.load(std::memory_order_relaxed);
        const size_t count = count_.load(std::memory_order_relaxed);
        const size_t grain = grain_.load(std::memory_order_relaxed);
        const size_t chunks = chunks_.load(std::memory_order_relaxed);
        // Success means that the job of `state` still had a chunk to give, so what was read above belongs to
        // it.
        if (!state_.compare_exchange_weak(state, state - 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
            continue;
        }
        const size_t chunk = chunks - unclaimed(state);
        const size_t grains = (count + grain - 1) / grain;
        const bool falling = pieces_ > 1;
        const size_t begin = first_grain(chunk, chunks, grains, falling) * grain;
        const size_t end = std::min(first_grain(chunk + 1, chunks, grains, falling) * grain, count);
        if (begin < end) {
            call(context, begin, end, thread);
        }
        done_.fetch_add(1, std::memory_order_release);
        state = state_.load(std::memory_order_acquire);
    }
}

void ThreadPool::work(size_t thread) {
    const DenormalsAreZero denormals;
    auto idle_since = std::chrono::steady_clock::now();
    while (!stopping_.load(std::memory_order_relaxed)) {
        if (unclaimed(state_.load(std::memory_order_acquire)) != 0) {
            take_chunks(thread);
            idle_since = std::chrono::steady_clock::now();
        } else if (std::chrono::steady_clock::now() - idle_since < kYieldTime) {
            std::this_thread::yield();
        } else {
            std::unique_lock<std::mutex> lock(sleep_);
            ++sleepers_;
            wake_->wait(lock, [&] { return unclaimed(state_.load()) != 0 || stopping_.load(); });
            --sleepers_;
            idle_since = std::chrono::steady_clock::now();
        }
    }
}

}  // namespace mobileinst
