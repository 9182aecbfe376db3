// Fewer page faults in large arrays.
#pragma once
#include <stddef.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace resblock::cpu {

constexpr size_t huge_page = size_t(2) << 20;

// NumPy asks from the same size on.
constexpr bool wants_huge_pages(size_t bytes) { return bytes >= 2 * huge_page; }

// A large allocation is mapped anew at every call, and its first touch costs a fault per page: with pages of 4 KiB as
// much time as the kernels. The operating system gives pages of 2 MiB where it is asked to; they lie wholly within
// what is asked for, so that no memory is added. A refusal changes nothing.
inline void ask_for_huge_pages(void* fresh, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  if (!wants_huge_pages(bytes)) return;
  const uintptr_t page = uintptr_t(sysconf(_SC_PAGESIZE)), begin = reinterpret_cast<uintptr_t>(fresh) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(fresh) + bytes + page - 1) / page * page;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace resblock::cpu
