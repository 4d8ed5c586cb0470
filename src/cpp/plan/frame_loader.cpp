#include "plan/frame_loader.h"

namespace mobileinst {

void FrameLoader::load(ThreadPool& pool, PreprocessArgs args, const Tensor& input) {
    args.output = input.data;
    args.height = input.height;
    args.width = input.width;
    if (frame_width_ != args.frame_width || columns_.size() != args.width) {
        columns_.resize(args.width);
        for (size_t x = 0; x < args.width; ++x) {
            columns_[x] = linear_tap(x, args.frame_width, args.width);
        }
        frame_width_ = args.frame_width;
    }
    args.columns = columns_.data();
    const size_t stride = whole_cache_lines(kernels_.scratch_size(args));
    if (scratch_.size() < stride * pool.threads()) {
        scratch_ = AlignedBuffer(stride * pool.threads());
    }
    pool.run(args.height, 1, pool.ranges(2), [&](size_t begin, size_t end, size_t thread) {
        kernels_.run(args, begin, end, scratch_.data() + thread * stride);
    });
}

}  // namespace mobileinst
