#pragma once

#include <cstddef>
#include <cstdint>

namespace mobileinst {

/// Where the rows of a map lie: row r in slot r % slots. Unless set, each row has a slot of its own.
struct RowRing {
    size_t slots = SIZE_MAX;

    size_t slot(size_t row) const { return row % slots; }
};

}  // namespace mobileinst
