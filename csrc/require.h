// Errors of the operators as Python shows them: what was got, what is wanted, and no place in a build machine's files.
#pragma once
#include <cstdint>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>

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

// Of an error, torch's stable interface says which call failed and where in the headers of the build machine.
inline std::string without_place(const std::string& what) {
  if (what.find(" API call failed at ") == std::string::npos) return what;
  const size_t name = what.find("aten::");
  const std::string call = name == std::string::npos ? what.substr(0, what.find('(')) : what.substr(name);
  return "residual_lstm: torch failed in " + call.substr(0, call.find('"')) +
         ", most likely because memory does not suffice for tensors of this size";
}

// A function whose errors are for the eyes of a user.
template <auto function>
struct Told;
template <class Result, class... Arguments, Result (*function)(Arguments...)>
struct Told<function> {
  static Result call(Arguments... arguments) {
    try {
      return function(arguments...);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(without_place(error.what()));
    } catch (const std::bad_alloc&) {
      throw error_of("residual_lstm: not enough memory; a smaller batch needs less");
    }
  }
};

}  // namespace resblock

// The parts of the message are evaluated where the condition does not hold.
#define RESBLOCK_REQUIRE(condition, ...)                       \
  do {                                                         \
    if (!(condition)) throw ::resblock::error_of(__VA_ARGS__); \
  } while (0)
