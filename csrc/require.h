// Errors of the operators as Python shows them: what was got, what is wanted, and no place in a build machine's files.
#pragma once
#include <cstdint>
#include <new>
#include <sstream>
#include <stdexcept>

namespace resblock {

template <class... Parts>
std::runtime_error error_of(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return std::runtime_error(text.str());
}

// Calls take, which allocates so many bytes of what is named.
template <class Take>
auto with_memory_for(const char* what, int64_t bytes, const Take& take) {
  try {
    return take();
  } catch (const std::bad_alloc&) {
    throw error_of("residual_lstm: not enough memory for ", bytes, " bytes of ", what,
                   "; a smaller batch needs less, and in training checkpoint_chunks");
  }
}

}  // namespace resblock

// The parts of the message are evaluated where the condition does not hold.
#define RESBLOCK_REQUIRE(condition, ...)                       \
  do {                                                         \
    if (!(condition)) throw ::resblock::error_of(__VA_ARGS__); \
  } while (0)
