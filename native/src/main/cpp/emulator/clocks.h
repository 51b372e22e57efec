// clocks.h: what each thread of the block, or of a cluster, knows of the others, for the race check. Vector clocks: an access carries who
// made it and when (his epoch); a later one by somebody else is in order if that one's clock says he has seen so much.
//
// Actors are the threads and, after them, what works beside them: the wgmma of a warp, the copies that complete on an
// mbarrier, the TMA stores of a thread. An epoch of a thread is the number of times that it released something; of the
// others, the number of the commit group or of the phase.
//
// A clock holds two numbers for each actor: `seen`, up to which epoch, and `fenced`, up to which epoch a thread's
// ordinary writes went through its fence.proxy.async before it released them.
#pragma once
#include <cstdint>
#include <vector>

namespace emulator::clocks {

struct Clock {
  std::vector<uint32_t> seen, fenced;
  uint32_t references = 0;
};

// A clock that nobody changes as long as somebody else has it too.
class Shared {
 public:
  Shared() = default;
  Shared(const Shared& o) : clock_(o.clock_) { if (clock_) clock_->references++; }
  Shared(Shared&& o) noexcept : clock_(o.clock_) { o.clock_ = nullptr; }
  Shared& operator=(Shared o) noexcept {
    std::swap(clock_, o.clock_);
    return *this;
  }
  ~Shared() { clear(); }
  void clear();
  bool operator==(const Shared& o) const { return clock_ == o.clock_; }

  uint32_t seen(uint32_t actor) const { return clock_ && actor < clock_->seen.size() ? clock_->seen[actor] : 0; }
  uint32_t fenced(uint32_t actor) const { return clock_ && actor < clock_->fenced.size() ? clock_->fenced[actor] : 0; }
  void see(uint32_t actor, uint32_t epoch);
  void fence(uint32_t actor, uint32_t epoch);
  void join(const Shared& other);

 private:
  Clock& own();
  Clock* clock_ = nullptr;
};

// What threads that meet release, joined: at a barrier, in a phase of an mbarrier, in a warp operation.
class Meeting {
 public:
  void add(uint32_t thread);
  void see(uint32_t actor, uint32_t epoch) { all_.see(actor, epoch); }
  const Shared& soFar() const { return all_; }
  Shared end();  // for those who leave it; the next begins

 private:
  Shared all_, last_;
};

extern __thread bool on __attribute__((tls_model("initial-exec"), visibility("hidden")));

void beginBlock(uint32_t threads, bool checked);

// Actors.
constexpr uint32_t kNobody = 0xffff;
uint32_t wgmmaOf(uint32_t warp);
uint32_t newActor();

// Of a thread.
uint32_t epoch(uint32_t thread);
bool knows(uint32_t thread, uint32_t actor, uint32_t epoch);        // did this happen before what the thread does now?
bool knowsFenced(uint32_t thread, uint32_t actor, uint32_t epoch);  // and a proxy fence of the writer between?
void fenceProxy(uint32_t thread);
bool knowsAny(uint32_t thread, uint32_t first, uint32_t count);     // anything that one of those actors has released
void acquire(uint32_t thread, const Shared& from);
void adopt(uint32_t thread, const Shared& from);  // the same, where `from` holds what the thread knows
void see(uint32_t thread, uint32_t actor, uint32_t epoch);
void meet(uint32_t firstThread, uint32_t lanes);  // threads of a warp

}  // namespace emulator::clocks
