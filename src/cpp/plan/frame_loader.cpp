#include "plan/frame_loader.h"

namespace mobileinst {

void FrameLoader::load(ThreadPool& pool, PreprocessArgs args, const Tensor& input) {
    args.output = input;
    if (frame_width_ != args.frame_width || columns_.size() != input.width) {
        columns_.resize(input.width);
        for (size_t x = 0; x < input.width; ++x) {
            columns_[x] = linear_tap(x, args.frame_width, input.width);
        }
        frame_width_ = args.frame_width;
    }
    args.columns = columns_.data();
    const size_t stride = whole_cache_lines(kernels_.scratch_size(args));
    if (scratch_.size() < stride * pool.threads()) {
        scratch_ = AlignedBuffer(stride * pool.threads());
    }
    pool.run(input.height, 1, pool.ranges(2), [&](size_t begin, size_t end, size_t thread) {
        kernels_.run(args, begin, end, static_cast<char*>(scratch_.data()) + thread * stride);
    });
}

}  // namespace mobileinst
