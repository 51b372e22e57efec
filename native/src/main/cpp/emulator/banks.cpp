#include "banks.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <vector>

#include "access_check.h"
#include "scheduler.h"
#include "settings.h"

namespace emulator::banks {
namespace {

struct Place {
  const void* site;
  bool write;
  uint32_t bytes;
  bool operator<(const Place& o) const { return std::tie(site, write, bytes) < std::tie(o.site, o.write, o.bytes); }
};

struct Count {
  uint64_t accesses = 0, turns = 0, least = 0;
};

using Offsets = std::vector<uint32_t>;  // of one lane, in the order of its program

struct Warp {
  std::map<Place, std::vector<Offsets>> lanes;  // 32 each
};

struct State {
  std::vector<Warp> warps{kMaxResident / 32};
};

State& state() {
  static thread_local State& s = *new State;
  return s;
}

std::mutex& mutex = *new std::mutex;
std::map<Place, Count>& counts = *new std::map<Place, Count>;

// One phase: the lanes whose words are delivered together.
uint32_t turns(const std::vector<uint32_t>& offsets, uint32_t bytes) {
  std::set<uint32_t> words;
  for (uint32_t o : offsets) {
    for (uint32_t w = o / 4; w <= (o + bytes - 1) / 4; w++) words.insert(w);
  }
  uint32_t ofBank[32] = {}, most = 0;
  for (uint32_t w : words) most = std::max(most, ++ofBank[w % 32]);
  return most;
}

void add(Count& count, const std::vector<Offsets>& lanes, size_t n, uint32_t bytes) {
  uint32_t together = 128 / std::max(bytes, 4u);
  bool any = false;
  for (uint32_t first = 0; first < 32; first += together) {
    std::vector<uint32_t> phase;
    for (uint32_t lane = first; lane < std::min(first + together, 32u); lane++) {
      if (n < lanes[lane].size()) phase.push_back(lanes[lane][n]);
    }
    if (phase.empty()) continue;
    any = true;
    count.turns += turns(phase, bytes);
    count.least++;
  }
  count.accesses += any;
}

}  // namespace

bool isOn() { return settings().banks; }

void note(uint32_t thread, size_t offset, size_t bytes, bool write, const void* site) {
  auto& lanes = state().warps[thread / 32].lanes[{site, write, static_cast<uint32_t>(bytes)}];
  lanes.resize(32);
  lanes[thread % 32].push_back(static_cast<uint32_t>(offset));
}

void endBlock() {
  std::lock_guard lock(mutex);
  for (Warp& warp : state().warps) {
    for (auto& [place, lanes] : warp.lanes) {
      size_t accesses = 0;
      for (const Offsets& lane : lanes) accesses = std::max(accesses, lane.size());
      for (size_t n = 0; n < accesses; n++) add(counts[place], lanes, n, place.bytes);
    }
    warp.lanes.clear();
  }
}

std::string take() {
  std::lock_guard lock(mutex);
  std::string text;
  std::vector<const void*> sites;
  for (const auto& count : counts) sites.push_back(count.first.site);
  std::vector<std::string> lines = access_check::linesOf(sites);
  size_t i = 0;
  for (const auto& [place, c] : counts) {
    std::string line = lines[i++];  // " (file.cu:17)"
    line = line.empty() ? "unknown:0" : line.substr(2, line.size() - 3);
    text += line + (place.write ? " write " : " read ") + std::to_string(place.bytes) + ' ' + std::to_string(c.accesses) + ' ' + std::to_string(c.turns) + ' ' + std::to_string(c.least) + '\n';
  }
  counts.clear();
  return text;
}

}  // namespace emulator::banks
