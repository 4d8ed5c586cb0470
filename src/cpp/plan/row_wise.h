#pragma once

#include <cstddef>

#include "core/row_ring.h"

namespace mobileinst {

/// Rows of a map: all of them, or the latest in a ring.
struct Rows {
    void* data = nullptr;
    RowRing ring;
};

/// What a node offers that computes a map from one other and can do so a row at a time. Bound nodes only.
class RowWise {
  public:
    virtual ~RowWise() = default;

    /// Whether run_row() may find its input in a ring, and write its output to one.
    virtual bool reads_ring() const = 0;
    virtual bool writes_ring() const = 0;
    /// Input rows that one output row sees, centred on it but for the border, and from one to the next.
    virtual size_t window() const = 0;
    virtual size_t row_stride() const = 0;
    /// Computes one row; if it `resumes`, the last call with this scratch was for the row before.
    virtual void run_row(size_t row, const Rows& input, const Rows& output, void* scratch,
                         bool resumes) const = 0;

  protected:
    RowWise() = default;
    RowWise(const RowWise&) = default;
    RowWise& operator=(const RowWise&) = default;
};

}  // namespace mobileinst
