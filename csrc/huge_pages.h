// Fewer page faults for what training keeps.
#pragma once
#include <torch/csrc/stable/tensor.h>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace resblock {

// An allocation of this size is mapped anew at every call, and its first touch costs a fault per page: with pages of
// 4 KiB as much time as the kernels. The operating system gives pages of 2 MiB where it is asked to; they lie wholly
// within what is asked for, so that no memory is added. NumPy asks from the same size on. A refusal changes nothing.
inline void ask_for_huge_pages(const torch::stable::Tensor& fresh) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const uintptr_t worth_it = uintptr_t(4) << 20, page = uintptr_t(sysconf(_SC_PAGESIZE));
  const uintptr_t bytes = uintptr_t(fresh.numel()) * uintptr_t(fresh.element_size());
  if (!fresh.is_cpu() || bytes < worth_it) return;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(fresh.mutable_data_ptr());
  const uintptr_t first = begin / page * page, end = (begin + bytes + page - 1) / page * page;
  madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

}  // namespace resblock
