#include "masks/run_length/coco.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace mobileinst {

std::string compress_runs(const uint32_t* runs, size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) {
        int64_t rest = runs[i];
        if (i > 2) {
            rest -= runs[i - 2];
        }
        bool more = true;
        while (more) {
            const auto low = static_cast<unsigned>(rest & 0x1f);
            rest >>= 5;
            more = (low & 0x10) != 0 ? rest != -1 : rest != 0;  // until the rest only repeats the sign
            text.push_back(static_cast<char>((more ? low | 0x20 : low) + 48));
        }
    }
    return text;
}

Runs decompress_runs(const std::string& text) {
    Runs runs;
    size_t i = 0;
    while (i < text.size()) {
        int64_t value = 0;
        unsigned shift = 0, code = 0x20;
        while ((code & 0x20) != 0) {
            if (i == text.size()) {
                throw std::invalid_argument("compressed run lengths end within a number");
            }
            code = static_cast<unsigned char>(text[i]) - 48u;
            if (code > 0x3f || shift > 30) {
                throw std::invalid_argument(
                    "compressed run lengths: expected numbers of at most 7 characters from '0' to 'o', got "
                    "code " +
                    std::to_string(static_cast<unsigned char>(text[i])) + " at position " +
                    std::to_string(i));
            }
            value |= static_cast<int64_t>(code & 0x1f) << shift;
            shift += 5;
            ++i;
        }
        if ((code & 0x10) != 0) {
            value -= int64_t{1} << shift;
        }
        if (runs.size() > 2) {
            value += runs[runs.size() - 2];
        }
        if (value < 0 || value > UINT32_MAX) {
            throw std::invalid_argument("compressed run lengths: run " + std::to_string(runs.size()) +
                                        " would be " + std::to_string(value));
        }
        runs.push_back(static_cast<uint32_t>(value));
    }
    return runs;
}

uint64_t total_pixels(const uint32_t* runs, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; ++i) {
        total += runs[i];
    }
    if (total > UINT32_MAX) {
        throw std::invalid_argument("run lengths sum to " + std::to_string(total) + ", more than 2^32 - 1");
    }
    return total;
}

void decode_runs(const uint32_t* runs, size_t count, size_t height, size_t width, uint8_t* mask) {
    std::memset(mask, 0, height * width);
    size_t place = 0;
    for (size_t i = 0; i < count; ++i) {
        if (i % 2 == 0) {
            place += runs[i];
            continue;
        }
        for (const size_t end = place + runs[i]; place < end;) {
            const size_t column = place / height, stop = std::min(end, (column + 1) * height);
            for (size_t row = place - column * height; place < stop; ++place, ++row) {
                mask[row * width + column] = 1;
            }
        }
    }
}

Extent extent_of_runs(const uint32_t* runs, size_t count, size_t height) {
    uint64_t place = 0, area = 0;
    uint64_t left = UINT64_MAX, right = 0, top = height, bottom = 0;
    for (size_t i = 0; i < count; place += runs[i], ++i) {
        if (i % 2 == 0 || runs[i] == 0) {
            continue;
        }
        const uint64_t last = place + runs[i] - 1;
        area += runs[i];
        left = std::min(left, place / height);
        right = std::max(right, last / height + 1);
        if (place / height == last / height) {
            top = std::min(top, place % height);
            bottom = std::max(bottom, last % height + 1);
        } else {
            top = 0;  // a run over a column's end touches its bottom and the next one's top
            bottom = height;
        }
    }
    if (area == 0) {
        return {{0.0f, 0.0f, 0.0f, 0.0f}, 0};
    }
    return {{static_cast<float>(left), static_cast<float>(top), static_cast<float>(right),
             static_cast<float>(bottom)},
            area};
}

}  // namespace mobileinst
