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
  // Sequences of these lengths in a problem of T steps from `first_step` on.
  static LongestFirst of_lengths(const int64_t* lengths, int64_t count, int64_t first_step, int64_t T) {
    LongestFirst made(std::vector<int64_t>(lengths, lengths + count));
    if (!std::is_sorted(made.lengths_.rbegin(), made.lengths_.rend())) {
      made.order_.resize(size_t(count));
      std::iota(made.order_.begin(), made.order_.end(), int64_t(0));
      std::stable_sort(made.order_.begin(), made.order_.end(),
                       [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
      for (size_t place = 0; place < made.order_.size(); ++place) made.lengths_[place] = lengths[made.order_[place]];
    }
    made.count_rows(first_step, T);
    return made;
  }

  // Rows that are packed already: `running` sequences of `count` at each of T steps, in that order or, if it is null,
  // as they come.
  static LongestFirst of_packed(const int64_t* running, int64_t T, const int64_t* order, int64_t count) {
    LongestFirst made(std::vector<int64_t>(size_t(count), T));
    if (order) made.order_.assign(order, order + count);
    int64_t place = count;
    for (int64_t t = 0; t < T; ++t)
      for (; place > running[t]; --place) made.lengths_[size_t(place - 1)] = t;
    made.count_rows(0, T);
    return made;
  }

  // The same sequences in a part of the problem.
  LongestFirst part(int64_t first_step, int64_t T) const {
    LongestFirst part = *this;
    part.count_rows(first_step, T);
    return part;
  }

  template <class S>
  void apply(Inputs<S>& p) const {
    p.lengths = lengths();
    p.order = order();
    p.rows_before = rows_before_.data();
  }
  const int64_t* lengths() const { return lengths_.data(); }
  // Which sequence stands where; null: they come so.
  const int64_t* order() const { return order_.empty() ? nullptr : order_.data(); }
  int64_t rows_before(int64_t t) const { return rows_before_[size_t(t)]; }

 private:
  explicit LongestFirst(std::vector<int64_t> lengths) : lengths_(std::move(lengths)) {}

  void count_rows(int64_t first_step, int64_t T) {
    rows_before_.assign(1, 0);
    auto running = lengths_.end();
    for (int64_t t = first_step; t < first_step + T; ++t) {
      while (running != lengths_.begin() && *(running - 1) <= t) --running;
      rows_before_.push_back(rows_before_.back() + (running - lengths_.begin()));
    }
  }

  std::vector<int64_t> lengths_, order_, rows_before_;
};

}  // namespace resblock::cpu
