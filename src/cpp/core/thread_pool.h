#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace mobileinst {

/// Threads that share the work of one caller at a time. Idle workers yield for a moment, then sleep; a worker
/// that is late for a job is not waited for. A process that was forked off has none of the workers: there the
/// caller does all the work.
class ThreadPool {
  public:
    /// `threads` >= 1 counts the caller; `pieces` >= 1 is how many ranges a thread should get at least:
    /// several where cores differ in speed. Ranges then get shorter towards the end, so that no slow core is
    /// waited for. Throws std::invalid_argument for 0, std::system_error if the system has no more threads.
    explicit ThreadPool(size_t threads, size_t pieces = 1);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    size_t threads() const { return workers_.size() + 1; }
    size_t pieces() const { return pieces_; }
    /// Ranges for work that balances well enough with so many of them for each of equal threads.
    size_t ranges(size_t per_thread) const { return threads() * std::max(per_thread, pieces_); }

    /// Held by whoever uses the pool over several run() calls. A forked process has one of its own, since the
    /// thread that held the other one may not exist there.
    std::mutex& mutex();

    /// Calls `body(begin, end, thread)` over [0, count) in at most `chunks` contiguous ranges that start at
    /// multiples of `grain`; `thread` < threads() is unique among calls that overlap in time. Returns when
    /// all are done. The body must not throw, and knows no denormals (DenormalsAreZero). The caller holds
    /// mutex().
    template <typename Body>
    void run(size_t count, size_t grain, size_t chunks, const Body& body) {
        run_job([](const void* context, size_t begin, size_t end,
                   size_t thread) { (*static_cast<const Body*>(context))(begin, end, thread); },
                &body, count, grain, chunks);
    }

  private:
    using Call = void (*)(const void* context, size_t begin, size_t end, size_t thread);

    void run_job(Call call, const void* context, size_t count, size_t grain, size_t chunks);
    void publish(uint32_t chunks);
    void take_chunks(size_t thread);
    void work(size_t thread);
    void stop();

    bool forked() const;

    std::vector<std::thread> workers_;
    const size_t pieces_;
    /// A mutex and the process that it serves.
    struct User {
        explicit User(long id) : process(id) {}
        const long process;
        std::mutex mutex;
    };
    std::atomic<User*> user_;

    // The job. A late worker may read these while the next job is written; it then fails to claim a chunk.
    std::atomic<Call> call_{nullptr};
    std::atomic<const void*> context_{nullptr};
    std::atomic<size_t> count_{0}, grain_{1}, chunks_{0};

    std::atomic<uint64_t> state_{0};  // number of the job << 32 | chunks that nobody has claimed
    std::atomic<size_t> done_{0};     // chunks finished
    std::atomic<bool> stopping_{false};
    std::mutex sleep_;
    std::unique_ptr<std::condition_variable> wake_ = std::make_unique<std::condition_variable>();
    size_t sleepers_ = 0;  // guarded by sleep_
    const long process_;   // that the workers belong to
};

}  // namespace mobileinst
