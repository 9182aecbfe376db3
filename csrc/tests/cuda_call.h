// A call of the CUDA kernels as its caller makes it: plan, workspace, run. The workspace is as large as was planned, to
// the byte, and full of NaN, so that what is read before it is written shows.
#pragma once
#include <stdexcept>
#include <vector>

#include "core/cuda/run.h"
#include "tests/matrix_library.h"

struct CudaCall {
  std::optional<resblock::cuda::Schedule> schedule = std::nullopt;
  const int64_t* seed = nullptr;  // on the device

  template <class S>
  resblock::cuda::Training training(const resblock::Inputs<S>& p) const {
    return resblock::cuda::plan_training<S>(resblock::cuda::current_machine(), request(p));
  }
  template <class S>
  resblock::cuda::Plan inference(const resblock::Inputs<S>& p) const {
    return resblock::cuda::plan_inference<S>(resblock::cuda::current_machine(), request(p));
  }

  template <class S>
  void operator()(const resblock::Forward<S>& p) const {
    const resblock::cuda::Plan plan = p.saved ? training<S>(p).forward : inference<S>(p);
    check(resblock::cuda::run(plan, p, test_context(seed), poisoned(plan.workspace).data()));
  }
  template <class S>
  void operator()(const resblock::Backward<S>& p) const {
    const resblock::cuda::Training plan = training<S>(p);
    check(resblock::cuda::run(plan, p, test_context(seed), poisoned(plan.backward.workspace).data()));
  }

 private:
  template <class S>
  resblock::cuda::Request request(const resblock::Inputs<S>& p) const {
    return {p.size, p.options.dropout > 0, schedule};
  }
  static std::vector<unsigned char> poisoned(int64_t bytes) { return std::vector<unsigned char>(size_t(bytes), 0xff); }
  static void check(const char* error) {
    if (error) throw std::runtime_error(error);
  }
};
