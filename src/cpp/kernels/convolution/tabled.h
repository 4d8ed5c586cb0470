#pragma once

namespace mobileinst {

/// The table of a Requantisation has results for arguments in [-kTabled, kTabled): twice as fine as integers.
constexpr int kTabled = 256;
/// Bytes behind them that may be read, too.
constexpr int kTableSlack = 3;

}  // namespace mobileinst
