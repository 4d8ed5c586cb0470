#include <cmath>
#include <numeric>
#include <stdexcept>

#include "bindings/bindings.h"
#include "masks/connected_components/connected_components.h"
#include "masks/overlap/overlap.h"
#include "masks/run_length/coco.h"
#include "masks/run_length/run_length.h"

namespace mobileinst {
namespace {

CountArray to_array(const Runs& runs) {
    CountArray array(static_cast<py::ssize_t>(runs.size()));
    std::copy(runs.begin(), runs.end(), array.mutable_data());
    return array;
}

/// Boxes uint32 (count, 4): left, top, right and bottom; everything for None.
std::vector<PixelBox> pixel_boxes(const py::object& boxes, size_t count) {
    std::vector<PixelBox> result(count);
    if (boxes.is_none()) {
        return result;
    }
    const auto array = checked_array<uint32_t>(boxes, "boxes", {static_cast<py::ssize_t>(count), 4}, 0);
    for (size_t i = 0; i < count; ++i) {
        const uint32_t* box = array.data() + i * 4;
        result[i] = {box[0], box[1], box[2], box[3]};
    }
    return result;
}

py::list rle_from_logits(const py::object& logits, long long height, long long width, float threshold,
                         const py::object& boxes, const py::object& tier_name) {
    const FloatArray array = checked_array<float>(logits, "logits", {kAny, kAny, kAny}, 0);
    check_range("height", height, 1, kMaxSide);
    check_range("width", width, 1, kMaxSide);
    check_finite("threshold", &threshold, 1);
    const Tier tier = tier_argument(tier_name);
    const auto count = static_cast<size_t>(array.shape(0));
    LogitsMask mask{array.data(),
                    static_cast<size_t>(array.shape(1)),
                    static_cast<size_t>(array.shape(2)),
                    static_cast<size_t>(height),
                    static_cast<size_t>(width),
                    threshold,
                    {}};
    if (count > 0 && (mask.height == 0 || mask.width == 0)) {
        throw std::invalid_argument("logits: expected maps of at least 1x1, got " +
                                    shape_text({array.shape(0), array.shape(1), array.shape(2)}));
    }
    const std::vector<PixelBox> within = pixel_boxes(boxes, count);
    std::vector<Runs> all(count);
    {
        GilRelease release;
        check_finite("logits", mask.logits, count * mask.height * mask.width);
        if (count > 0) {
            RunLengthEncoder encoder(tier, mask);
            for (size_t i = 0; i < count; ++i) {
                all[i] = encoder.encode(mask.logits, within[i]);
                mask.logits += mask.height * mask.width;
            }
        }
    }
    py::list result;
    for (const Runs& runs : all) {
        result.append(to_array(runs));
    }
    return result;
}

FloatArray maskness_of(const py::object& logits, float threshold_prob, const py::object& tier_name) {
    const FloatArray array = checked_array<float>(logits, "logits", {kAny, kAny, kAny}, 0);
    if (!(threshold_prob > 0.0f && threshold_prob < 1.0f)) {
        throw std::invalid_argument("threshold_prob: expected a value between 0 and 1, got " +
                                    std::to_string(threshold_prob));
    }
    const Tier tier = tier_argument(tier_name);
    const auto height = static_cast<size_t>(array.shape(1)), width = static_cast<size_t>(array.shape(2));
    FloatArray result(array.shape(0));
    const float* source = array.data();
    float* scores = result.mutable_data();
    const auto count = static_cast<size_t>(array.shape(0));
    const auto threshold = static_cast<float>(std::log(threshold_prob / (1.0 - threshold_prob)));
    GilRelease release;
    for (size_t i = 0; i < count; ++i) {
        scores[i] = height * width == 0
                        ? 0.0f
                        : maskness(tier, source + i * height * width, height, width, threshold);
    }
    return result;
}

FloatArray heaviest_components(const py::object& logits, float threshold, const py::object& tier_name) {
    const FloatArray array = checked_array<float>(logits, "logits", {kAny, kAny, kAny}, 0);
    check_finite("threshold", &threshold, 1);
    const Tier tier = tier_argument(tier_name);
    const auto height = static_cast<size_t>(array.shape(1)), width = static_cast<size_t>(array.shape(2));
    const auto count = static_cast<size_t>(array.shape(0));
    FloatArray result({array.shape(0), array.shape(1), array.shape(2)});
    const float* source = array.data();
    float* kept = result.mutable_data();
    GilRelease release;
    check_finite("logits", source, count * height * width);
    std::copy_n(source, count * height * width, kept);
    for (size_t i = 0; height * width > 0 && i < count; ++i) {
        keep_heaviest_component(tier, kept + i * height * width, height, width, threshold);
    }
    return result;
}

using MaskArray = py::array_t<bool, py::array::c_style>;

/// Masks (n, h, w) as bits.
MaskBits bits_of(const MaskArray& masks, Tier tier) {
    static_assert(sizeof(bool) == 1, "NumPy's booleans are bytes");
    const auto cells = static_cast<size_t>(masks.shape(1)) * static_cast<size_t>(masks.shape(2));
    return pack_masks(tier, reinterpret_cast<const uint8_t*>(masks.data()),
                      static_cast<size_t>(masks.shape(0)), cells);
}

FloatArray mask_iou_of(const py::object& a, const py::object& b, const py::object& tier_name) {
    const MaskArray left = checked_array<bool>(a, "a", {kAny, kAny, kAny}, 0);
    const MaskArray right = checked_array<bool>(b, "b", {kAny, left.shape(1), left.shape(2)}, 0);
    const Tier tier = tier_argument(tier_name);
    FloatArray result({left.shape(0), right.shape(0)});
    float* out = result.mutable_data();
    const bool same = left.data() == right.data() && left.shape(0) == right.shape(0);
    GilRelease release;
    const MaskBits first = bits_of(left, tier);
    if (same) {
        mask_iou(tier, first, first, out);
    } else {
        mask_iou(tier, first, bits_of(right, tier), out);
    }
    return result;
}

FloatArray own_shares_of(const py::object& masks, const py::object& order, const py::object& tier_name) {
    const MaskArray array = checked_array<bool>(masks, "masks", {kAny, kAny, kAny}, 0);
    const auto places = checked_array<int64_t>(order, "order", {array.shape(0)}, 0);
    const Tier tier = tier_argument(tier_name);
    std::vector<size_t> indices;
    std::vector<bool> seen(static_cast<size_t>(array.shape(0)));
    for (py::ssize_t i = 0; i < places.shape(0); ++i) {
        const int64_t index = places.at(i);
        if (index < 0 || index >= places.shape(0) || seen[static_cast<size_t>(index)]) {
            throw std::invalid_argument("order: expected each of 0.." + std::to_string(places.shape(0) - 1) +
                                        " once, got " + std::to_string(index) + " at position " +
                                        std::to_string(i));
        }
        seen[static_cast<size_t>(index)] = true;
        indices.push_back(static_cast<size_t>(index));
    }
    FloatArray result(array.shape(0));
    float* out = result.mutable_data();
    GilRelease release;
    own_shares(tier, bits_of(array, tier), indices.data(), out);
    return result;
}

py::bytes rle_compress(const py::object& counts) {
    const CountArray runs = checked_array<uint32_t>(counts, "counts", {kAny}, 0);
    return py::bytes(compress_runs(runs.data(), static_cast<size_t>(runs.size())));
}

CountArray rle_decompress(const py::object& text) {
    if (!py::isinstance<py::bytes>(text) && !py::isinstance<py::str>(text)) {
        throw py::type_error("text: expected bytes or str, got " +
                             py::type::of(text).attr("__name__").cast<std::string>());
    }
    return to_array(decompress_runs(text.cast<std::string>()));
}

py::array_t<bool> rle_decode(const py::object& counts, long long height, long long width) {
    const CountArray runs = checked_array<uint32_t>(counts, "counts", {kAny}, 0);
    check_range("height", height, 0, INT32_MAX);
    check_range("width", width, 0, INT32_MAX);
    const auto count = static_cast<size_t>(runs.size());
    const uint64_t total = total_pixels(runs.data(), count);
    if (total != static_cast<uint64_t>(height) * static_cast<uint64_t>(width)) {
        throw std::invalid_argument("counts: expected a sum of " + std::to_string(height * width) +
                                    " pixels (" + std::to_string(height) + "x" + std::to_string(width) +
                                    "), got " + std::to_string(total));
    }
    py::array_t<bool> mask({static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width)});
    auto* pixels = reinterpret_cast<uint8_t*>(mask.mutable_data());
    const uint32_t* source = runs.data();
    GilRelease release;
    decode_runs(source, count, static_cast<size_t>(height), static_cast<size_t>(width), pixels);
    return mask;
}

py::tuple rle_boxes_areas(const py::sequence& counts, long long height, const py::object& width) {
    check_range("height", height, 1, INT32_MAX);
    const bool check = !width.is_none();
    const long long columns = check ? width.cast<long long>() : 0;
    check_range("width", columns, 0, INT32_MAX);
    const auto pixels = static_cast<uint64_t>(height) * static_cast<uint64_t>(columns);
    const auto n = static_cast<py::ssize_t>(counts.size());
    py::array_t<float> boxes({n, py::ssize_t{4}});
    py::array_t<int64_t> areas(n);
    for (py::ssize_t i = 0; i < n; ++i) {
        const CountArray runs = checked_array<uint32_t>(counts[static_cast<size_t>(i)], "counts", {kAny}, 0);
        const auto sum = std::accumulate(runs.data(), runs.data() + runs.size(), uint64_t{0});
        if (check && sum != pixels) {
            throw std::invalid_argument("run lengths must sum to " + std::to_string(height) + " x " +
                                        std::to_string(columns) + " = " + std::to_string(pixels) +
                                        " pixels, got " + std::to_string(sum));
        }
        const Extent extent =
            extent_of_runs(runs.data(), static_cast<size_t>(runs.size()), static_cast<size_t>(height));
        std::copy_n(extent.box, 4, boxes.mutable_data(i, 0));
        areas.mutable_at(i) = static_cast<int64_t>(extent.area);
    }
    return py::make_tuple(boxes, areas);
}

}  // namespace

void register_masks(py::module_& module) {
    using py::arg;
    module.def(
        "rle_from_logits", &rle_from_logits, arg("logits"), arg("height"), arg("width"), arg("threshold"),
        arg("boxes") = py::none(), py::kw_only(), arg("tier") = py::none(),
        "COCO run lengths (uint32) of `bilinear(logits, (height, width)) > threshold`, one array per map,\n"
        "within boxes uint32 (n, 4) of pixels: left, top, right and bottom, the last two exclusive.");
    module.def(
        "maskness", &maskness_of, arg("logits"), arg("threshold_prob") = 0.45f, py::kw_only(),
        arg("tier") = py::none(),
        "Mean of the probabilities above the threshold of each map, upsampled by 2; 0 if there are none.");
    module.def("heaviest_components", &heaviest_components, arg("logits"), arg("threshold"), py::kw_only(),
               arg("tier") = py::none(),
               "A copy in which each map keeps, of the 8-connected components above the threshold, only\n"
               "the one with the greatest sum of probabilities; the others' cells become threshold - 1.");
    module.def(
        "mask_iou", &mask_iou_of, arg("a"), arg("b"), py::kw_only(), arg("tier") = py::none(),
        "Intersection over union of masks bool (m, h, w) with masks (n, h, w): (m, n), 0 for empty ones.");
    module.def("own_shares", &own_shares_of, arg("masks"), arg("order"), py::kw_only(),
               arg("tier") = py::none(),
               "Share of each mask bool (n, h, w) that those before it in `order`, int64 (n,), don't cover.");
    module.def("rle_compress", &rle_compress, arg("counts"), "Run lengths in COCO's text form, as bytes.");
    module.def("rle_decompress", &rle_decompress, arg("text"), "Inverse of rle_compress.");
    module.def("rle_decode", &rle_decode, arg("counts"), arg("height"), arg("width"),
               "Mask, bool (height, width).");
    module.def("rle_boxes_areas", &rle_boxes_areas, arg("counts"), arg("height"), arg("width") = py::none(),
               "Boxes (n, 4) as x0, y0, x1, y1 with exclusive ends, and areas (n,), of a list of run "
               "lengths, which\n"
               "must sum to height * width if a width is given.");
}

}  // namespace mobileinst
