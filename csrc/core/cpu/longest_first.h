// The order in which the CPU's kernels take the sequences of a ragged batch.
#pragma once
#include <algorithm>
#include <numeric>
#include <vector>

#include "core/problem.h"

namespace resblock::cpu {

// The longest first: the sequences that run at a step are then the first few of any block, and neighbours end together.
class LongestFirst {
 public:
  // For a problem of T steps from `first_step` on, whose sequences have these lengths.
  LongestFirst(const int64_t* lengths, int64_t count, int64_t first_step, int64_t T)
      : lengths_(lengths, lengths + count), rows_before_(size_t(T) + 1) {
    if (!std::is_sorted(lengths_.rbegin(), lengths_.rend())) {
      order_.resize(size_t(count));
      std::iota(order_.begin(), order_.end(), int64_t(0));
      std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
      for (size_t place = 0; place < order_.size(); ++place) lengths_[place] = lengths[order_[place]];
    }
    int64_t running = count;
    for (int64_t t = 0; t < T; ++t) {
      while (running > 0 && lengths_[size_t(running - 1)] <= first_step + t) --running;
      rows_before_[size_t(t) + 1] = rows_before_[size_t(t)] + running;
    }
  }

  template <class S>
  void apply(Inputs<S>& p) const {
    p.lengths = lengths();
    p.order = order_.empty() ? nullptr : order_.data();
    p.rows_before = rows_before_.data();
  }
  const int64_t* lengths() const { return lengths_.data(); }

 private:
  std::vector<int64_t> lengths_, order_, rows_before_;
};

}  // namespace resblock::cpu
