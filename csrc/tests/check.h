// TEST(name) { ... CHECK(condition) ... } and a main that runs them all: the whole of the test framework.
#pragma once
#include <stdio.h>

#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace check {

struct Test {
  const char* name;
  std::function<void()> body;
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

inline std::vector<std::string>& arguments() {
  static std::vector<std::string> all;
  return all;
}

inline bool is_argument(const char* wanted) {
  for (const std::string& argument : arguments())
    if (argument == wanted) return true;
  return false;
}

struct Registered {
  Registered(const char* name, std::function<void()> body) { tests().push_back({name, std::move(body)}); }
};

inline void verify(bool condition, const char* text, const char* file, int line, const std::string& about) {
  if (condition) return;
  const int shown = 20;
  if (++failures() <= shown) fprintf(stderr, "%s:%d: %s  %s\n", file, line, text, about.c_str());
}

inline int main(int argc, char** argv) {
  arguments().assign(argv + 1, argv + argc);
  for (const Test& test : tests()) {
    const int before = failures();
    const auto begin = std::chrono::steady_clock::now();
    try {
      test.body();
    } catch (const std::exception& error) {
      verify(false, error.what(), test.name, 0, "");
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    printf("%-60s %s %6.1f s\n", test.name, failures() == before ? "passed" : "FAILED", seconds.count());
    fflush(stdout);
  }
  return failures() != 0;
}

}  // namespace check

// About: what the values were, if the condition does not say.
#define CHECK_ABOUT(condition, about) ::check::verify(bool(condition), #condition, __FILE__, __LINE__, about)
#define CHECK(condition) CHECK_ABOUT(condition, "")

#define TEST(name)                                                 \
  static void name();                                              \
  static const ::check::Registered registered_##name(#name, name); \
  static void name()

#define TEST_MAIN \
  int main(int argc, char** argv) { return ::check::main(argc, argv); }
