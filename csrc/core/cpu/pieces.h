// The pieces into which resets cut the sequences of a batch.
#pragma once
#include "core/cpu/longest_first.h"

namespace resblock::cpu {

class ResetPieces {
 public:
  // Of a problem without pieces yet; `resets` has a flag for each row of its inputs. What a sequence does past its
  // length goes unseen.
  template <class S>
  ResetPieces(const Inputs<S>& p, const bool* resets)
      : T_(p.size.T), sequences_(p.size.B), first_row_(rows_of_steps(p)), longest_first_(cut(p, resets)) {
    std::vector<Piece> in_order;
    for (const int64_t* number = longest_first_.order(); number && in_order.size() < pieces_.size(); ++number)
      in_order.push_back(pieces_[size_t(*number)]);
    if (!in_order.empty()) pieces_.swap(in_order);
    view_ = {pieces_.data(), T_, sequences_, first_row_.data()};
  }
  ResetPieces(const ResetPieces&) = delete;
  ResetPieces& operator=(const ResetPieces&) = delete;

  // Whether some sequence is cut.
  bool any() const { return is_cut_; }

  template <class S>
  void apply(Inputs<S>& p) const {
    longest_first_.apply(p);
    p.size.T = longest_;
    p.size.B = int64_t(pieces_.size());
    p.order = nullptr;
    p.pieces = &view_;
  }
  Sizes size_of(Sizes size) const {
    size.T = longest_;
    size.B = int64_t(pieces_.size());
    return size;
  }
  const int64_t* lengths() const { return longest_first_.lengths(); }

 private:
  template <class S>
  static std::vector<int64_t> rows_of_steps(const Inputs<S>& p) {
    std::vector<int64_t> rows;
    for (int64_t t = 0; t <= p.size.T; ++t) rows.push_back(p.packed ? p.rows_before[t] : t * p.size.B);
    return rows;
  }

  // Fills `pieces_`; gives them by their lengths, which count from the first step of the longer problem.
  template <class S>
  LongestFirst cut(const Inputs<S>& p, const bool* resets) {
    std::vector<int64_t> lengths, steps(size_t(p.size.B));
    std::vector<Piece> open(size_t(p.size.B));
    for (int64_t place = 0; place < p.size.B; ++place) {
      steps[size_t(place)] = running_steps(p, place);
      open[size_t(place)] = {sequence_at(p, place), 0, p.packed ? place : sequence_at(p, place), true, false};
    }
    const auto close = [&](int64_t place, int64_t end) {
      const Piece& piece = open[size_t(place)];
      pieces_.push_back(piece);
      lengths.push_back(p.options.first_step + end - piece.first_step);
      longest_ = std::max(longest_, end - piece.first_step);
    };
    for (int64_t t = 0; t < p.size.T; ++t)
      for (int64_t place = 0; place < p.size.B; ++place) {
        Piece& piece = open[size_t(place)];
        if (t >= steps[size_t(place)] || !resets[first_row_[size_t(t)] + piece.column]) continue;
        is_cut_ = true;
        if (t > 0) close(place, t);
        piece.first_step = t;
        piece.from_state = false;
      }
    for (int64_t place = 0; place < p.size.B; ++place) {
      open[size_t(place)].is_last = true;
      close(place, steps[size_t(place)]);
    }
    return LongestFirst::of_lengths(lengths.data(), int64_t(lengths.size()), p.options.first_step, longest_);
  }

  int64_t T_, sequences_, longest_ = 0;
  bool is_cut_ = false;
  std::vector<Piece> pieces_;
  std::vector<int64_t> first_row_;
  LongestFirst longest_first_;
  Pieces view_;
};

}  // namespace resblock::cpu
