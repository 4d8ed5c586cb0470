// The functions of pthreadpool that XNNPACK calls, over our own pool: one set of threads serves both. A
// pthreadpool_t is a ThreadPool*, or null for the calling thread alone.

#include <pthreadpool.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "core/thread_pool.h"

namespace {

using mobileinst::ThreadPool;

/// Chunks for each thread: few enough to cost little, enough to even out slow threads.
constexpr size_t kChunksPerThread = 4;

/// Runs `call(thread, start, size)` for each tile of a grid: `start` has an index for each dimension, `size`
/// the extent of the tile in the last `Tiled` of them, cut at the border.
template <size_t Dims, size_t Tiled, typename Call>
void for_each_tile(pthreadpool_t pool, const std::array<size_t, Dims>& range,
                   const std::array<size_t, Tiled>& tile, const Call& call) {
    constexpr size_t plain = Dims - Tiled;
    std::array<size_t, Dims> counts = range;
    size_t total = 1;
    for (size_t d = 0; d < Dims; ++d) {
        if (d >= plain) {
            counts[d] = (range[d] + tile[d - plain] - 1) / tile[d - plain];
        }
        total *= counts[d];
    }
    const auto body = [&](size_t begin, size_t end, size_t thread) {
        for (size_t n = begin; n < end; ++n) {
            std::array<size_t, Dims> start{};
            std::array<size_t, Tiled> size{};
            size_t rest = n;
            for (size_t d = Dims; d-- > 0; rest /= counts[d]) {
                start[d] = rest % counts[d];
            }
            for (size_t t = 0; t < Tiled; ++t) {
                start[plain + t] *= tile[t];
                size[t] = std::min(tile[t], range[plain + t] - start[plain + t]);
            }
            call(thread, start, size);
        }
    };
    if (pool == nullptr) {
        body(0, total, 0);
        return;
    }
    ThreadPool& threads = *reinterpret_cast<ThreadPool*>(pool);
    threads.run(total, 1, threads.threads() * kChunksPerThread, body);
}

/// Calls XNNPACK's task(context, first..., start..., size...).
template <typename Task, typename Start, typename Size, typename... First>
void invoke(Task task, void* context, const Start& start, const Size& size, First... first) {
    std::apply(task, std::tuple_cat(std::make_tuple(context, first...), start, size));
}

template <typename Task, size_t Dims, size_t Tiled>
void plain(pthreadpool_t pool, Task task, void* context, const std::array<size_t, Dims>& range,
           const std::array<size_t, Tiled>& tile) {
    for_each_tile(pool, range, tile,
                  [=](size_t, const auto& start, const auto& size) { invoke(task, context, start, size); });
}

template <typename Task, size_t Dims, size_t Tiled>
void with_thread(pthreadpool_t pool, Task task, void* context, const std::array<size_t, Dims>& range,
                 const std::array<size_t, Tiled>& tile) {
    for_each_tile(pool, range, tile, [=](size_t thread, const auto& start, const auto& size) {
        invoke(task, context, start, size, thread);
    });
}

}  // namespace

extern "C" {

size_t pthreadpool_get_threads_count(pthreadpool_t pool) {
    return pool == nullptr ? 1 : reinterpret_cast<ThreadPool*>(pool)->threads();
}

void pthreadpool_parallelize_1d(pthreadpool_t pool, pthreadpool_task_1d_t task, void* context, size_t range_i,
                                uint32_t) {
    plain(pool, task, context, std::array<size_t, 1>{range_i}, std::array<size_t, 0>{});
}

void pthreadpool_parallelize_1d_tile_1d(pthreadpool_t pool, pthreadpool_task_1d_tile_1d_t task, void* context,
                                        size_t range_i, size_t tile_i, uint32_t) {
    plain(pool, task, context, std::array<size_t, 1>{range_i}, std::array<size_t, 1>{tile_i});
}

void pthreadpool_parallelize_1d_with_thread(pthreadpool_t pool, pthreadpool_task_1d_with_thread_t task,
                                            void* context, size_t range_i, uint32_t) {
    with_thread(pool, task, context, std::array<size_t, 1>{range_i}, std::array<size_t, 0>{});
}

void pthreadpool_parallelize_2d(pthreadpool_t pool, pthreadpool_task_2d_t task, void* context, size_t range_i,
                                size_t range_j, uint32_t) {
    plain(pool, task, context, std::array<size_t, 2>{range_i, range_j}, std::array<size_t, 0>{});
}

void pthreadpool_parallelize_2d_tile_1d(pthreadpool_t pool, pthreadpool_task_2d_tile_1d_t task, void* context,
                                        size_t range_i, size_t range_j, size_t tile_j, uint32_t) {
    plain(pool, task, context, std::array<size_t, 2>{range_i, range_j}, std::array<size_t, 1>{tile_j});
}

void pthreadpool_parallelize_2d_tile_2d(pthreadpool_t pool, pthreadpool_task_2d_tile_2d_t task, void* context,
                                        size_t range_i, size_t range_j, size_t tile_i, size_t tile_j,
                                        uint32_t) {
    plain(pool, task, context, std::array<size_t, 2>{range_i, range_j},
          std::array<size_t, 2>{tile_i, tile_j});
}

void pthreadpool_parallelize_2d_with_thread(pthreadpool_t pool, pthreadpool_task_2d_with_thread_t task,
                                            void* context, size_t range_i, size_t range_j, uint32_t) {
    with_thread(pool, task, context, std::array<size_t, 2>{range_i, range_j}, std::array<size_t, 0>{});
}

void pthreadpool_parallelize_3d(pthreadpool_t pool, pthreadpool_task_3d_t task, void* context, size_t range_i,
                                size_t range_j, size_t range_k, uint32_t) {
    plain(pool, task, context, std::array<size_t, 3>{range_i, range_j, range_k}, std::array<size_t, 0>{});
}

void pthreadpool_parallelize_3d_tile_1d(pthreadpool_t pool, pthreadpool_task_3d_tile_1d_t task, void* context,
                                        size_t range_i, size_t range_j, size_t range_k, size_t tile_k,
                                        uint32_t) {
    plain(pool, task, context, std::array<size_t, 3>{range_i, range_j, range_k},
          std::array<size_t, 1>{tile_k});
}

void pthreadpool_parallelize_3d_tile_1d_with_thread(pthreadpool_t pool,
                                                    pthreadpool_task_3d_tile_1d_with_thread_t task,
                                                    void* context, size_t range_i, size_t range_j,
                                                    size_t range_k, size_t tile_k, uint32_t) {
    with_thread(pool, task, context, std::array<size_t, 3>{range_i, range_j, range_k},
                std::array<size_t, 1>{tile_k});
}

void pthreadpool_parallelize_3d_tile_2d(pthreadpool_t pool, pthreadpool_task_3d_tile_2d_t task, void* context,
                                        size_t range_i, size_t range_j, size_t range_k, size_t tile_j,
                                        size_t tile_k, uint32_t) {
    plain(pool, task, context, std::array<size_t, 3>{range_i, range_j, range_k},
          std::array<size_t, 2>{tile_j, tile_k});
}

void pthreadpool_parallelize_4d(pthreadpool_t pool, pthreadpool_task_4d_t task, void* context, size_t range_i,
                                size_t range_j, size_t range_k, size_t range_l, uint32_t) {
    plain(pool, task, context, std::array<size_t, 4>{range_i, range_j, range_k, range_l},
          std::array<size_t, 0>{});
}

void pthreadpool_parallelize_4d_tile_2d(pthreadpool_t pool, pthreadpool_task_4d_tile_2d_t task, void* context,
                                        size_t range_i, size_t range_j, size_t range_k, size_t range_l,
                                        size_t tile_k, size_t tile_l, uint32_t) {
    plain(pool, task, context, std::array<size_t, 4>{range_i, range_j, range_k, range_l},
          std::array<size_t, 2>{tile_k, tile_l});
}

void pthreadpool_parallelize_5d(pthreadpool_t pool, pthreadpool_task_5d_t task, void* context, size_t range_i,
                                size_t range_j, size_t range_k, size_t range_l, size_t range_m, uint32_t) {
    plain(pool, task, context, std::array<size_t, 5>{range_i, range_j, range_k, range_l, range_m},
          std::array<size_t, 0>{});
}

void pthreadpool_parallelize_5d_tile_2d(pthreadpool_t pool, pthreadpool_task_5d_tile_2d_t task, void* context,
                                        size_t range_i, size_t range_j, size_t range_k, size_t range_l,
                                        size_t range_m, size_t tile_l, size_t tile_m, uint32_t) {
    plain(pool, task, context, std::array<size_t, 5>{range_i, range_j, range_k, range_l, range_m},
          std::array<size_t, 2>{tile_l, tile_m});
}

void pthreadpool_parallelize_6d_tile_2d(pthreadpool_t pool, pthreadpool_task_6d_tile_2d_t task, void* context,
                                        size_t range_i, size_t range_j, size_t range_k, size_t range_l,
                                        size_t range_m, size_t range_n, size_t tile_m, size_t tile_n,
                                        uint32_t) {
    plain(pool, task, context, std::array<size_t, 6>{range_i, range_j, range_k, range_l, range_m, range_n},
          std::array<size_t, 2>{tile_m, tile_n});
}

}  // extern "C"
