#include "settings.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "trace.h"

namespace emulator {
namespace {

bool parse(const char* text, long low, long high, long& value) {
  char* end;
  value = strtol(text, &end, 10);
  return end != text && *end == 0 && value >= low && value <= high;
}

bool parse(const char* text, bool& value) {
  if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0) return false;
  value = *text == '1';
  return true;
}

constexpr const char* kKeys[] = {"order", "async", "capability", "guard", "lazy", "overlap", "tensor", "fast", "banks", "threads", "memory", "trace"};

Settings fromEnvironment() {
  Settings s;
  for (const char* key : kKeys) {
    std::string name = "JAVELIN_EMULATOR_";
    for (const char* c = key; *c; c++) name += static_cast<char>(*c - 'a' + 'A');
    const char* value = getenv(name.c_str());
    if (value != nullptr && !s.set(key, value)) fprintf(stderr, "javelin: ignored %s=%s: docs/emulator.md has its values\n", name.c_str(), value);
  }
  return s;
}

}  // namespace

bool Settings::set(const char* key, const char* value) {
  long number = 0;
  if (strcmp(key, "order") == 0) {
    if (strcmp(value, "forward") == 0) {
      order = Order::forward;
    } else if (strcmp(value, "reverse") == 0) {
      order = Order::reverse;
    } else if (parse(value, 0, 1L << 62, number)) {
      order = Order::random;
      seed = static_cast<uint64_t>(number);
    } else {
      return false;
    }
    return true;
  }
  if (strcmp(key, "async") == 0) {
    if (strcmp(value, "late") != 0 && strcmp(value, "early") != 0 && !parse(value, 0, 1L << 62, number)) return false;
    async = *value == 'l' ? Async::late : *value == 'e' ? Async::early : Async::random;
    asyncSeed = static_cast<uint64_t>(number);
    return true;
  }
  if (strcmp(key, "capability") == 0) {
    for (const char* known : {"8.0", "8.6", "8.9", "9.0"}) {
      if (strcmp(value, known) == 0) {
        capability = (value[0] - '0') * 10 + (value[2] - '0');
        return true;
      }
    }
    return false;
  }
  if (strcmp(key, "guard") == 0) return parse(value, guard);
  if (strcmp(key, "banks") == 0) return parse(value, banks);
  if (strcmp(key, "lazy") == 0) return parse(value, lazy);
  if (strcmp(key, "overlap") == 0) {
    if (strcmp(value, "0") != 0 && strcmp(value, "ahead") != 0 && strcmp(value, "behind") != 0) return false;
    overlap = *value == 'a' ? Overlap::ahead : *value == 'b' ? Overlap::behind : Overlap::none;
    return true;
  }
  if (strcmp(key, "tensor") == 0) {
    if (strcmp(value, "rounded") != 0 && strcmp(value, "truncated") != 0) return false;
    tensorTruncates = *value == 't';
    return true;
  }
  if (strcmp(key, "fast") == 0) {
    if (strcmp(value, "exact") != 0 && strcmp(value, "low") != 0 && strcmp(value, "high") != 0 && !parse(value, 0, 1L << 62, number)) return false;
    fast = *value == 'e' ? Fast::exact : *value == 'l' ? Fast::low : *value == 'h' ? Fast::high : Fast::random;
    fastSeed = static_cast<uint64_t>(number);
    return true;
  }
  if (strcmp(key, "threads") == 0 && parse(value, 1, 256, number)) {
    threads = static_cast<int>(number);
    return true;
  }
  if (strcmp(key, "memory") == 0 && parse(value, 1, 1L << 46, number)) {
    memory = static_cast<size_t>(number);
    return true;
  }
  if (strcmp(key, "trace") == 0) return trace::to(value);
  return false;
}

Settings& settings() {
  static Settings& instance = *new Settings(fromEnvironment());
  return instance;
}

}  // namespace emulator
