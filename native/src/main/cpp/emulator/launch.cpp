// launch.cpp: spreads the blocks of a launch over operating system threads, and keeps the text of what went wrong.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>

#include "scheduler.h"
#include "trace.h"
#include "turns.h"

namespace emulator {
namespace {

// The mutexes and conditions are never destroyed: the helpers still wait on them when the process ends.
std::mutex& errorMutex = *new std::mutex;
std::string& errorText = *new std::string;

struct Job {
  const LaunchRequest& request;
  std::vector<uint64_t> order;  // empty: in numerical order
  uint64_t clusters;  // of one block each, mostly
  bool reverse;
  std::atomic<uint64_t> next{0};
  std::atomic<bool> failed{false};

  void work() {
    const SharedVariables& variables = request.variables;
    if (variables.bytes != 0) memset(variables.begin(), 0xff, variables.bytes);  // NaN, like dynamic shared memory
    access_check::beginLaunch(variables);
    Scheduler& scheduler = Scheduler::here();
    turns::enter();
    for (uint64_t i; !failed && (i = next++) < clusters;) {
      uint64_t cluster = !order.empty() ? order[i] : reverse ? clusters - 1 - i : i;
      if (!scheduler.run(request, cluster)) failed = true;
    }
    turns::leave();
  }
};

// Helpers beside the calling thread; they are started when they are first needed and never end.
class Helpers {
 public:
  void run(Job& job, int wanted) {
    std::unique_lock lock(mutex_);
    for (; started_ < wanted; started_++) std::thread(&Helpers::help, this, started_).detach();
    job_ = &job;
    wanted_ = wanted;
    active_ = wanted;
    turn_++;
    wake_.notify_all();
    lock.unlock();
    job.work();
    lock.lock();
    done_.wait(lock, [&] { return active_ == 0; });
    job_ = nullptr;
  }

 private:
  void help(int number) {
    std::unique_lock lock(mutex_);
    for (uint64_t seen = turn_ - 1;;) {
      wake_.wait(lock, [&] { return turn_ != seen; });
      seen = turn_;
      if (number >= wanted_) continue;
      Job& job = *job_;
      lock.unlock();
      job.work();
      lock.lock();
      if (--active_ == 0) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Job* job_ = nullptr;
  int started_ = 0, wanted_ = 0, active_ = 0;
  uint64_t turn_ = 0;
};

Helpers& helpers = *new Helpers;

}  // namespace

bool launch(const LaunchRequest& request) {
  trace::beginLaunch(request);
  turns::beginLaunch();
  const Dim3 &g = request.grid, &c = request.cluster;
  Job job{request, {}, uint64_t{g.x / c.x} * (g.y / c.y) * (g.z / c.z), settings().order == Order::reverse};
  if (settings().order == Order::random) {
    job.order.resize(job.clusters);
    std::iota(job.order.begin(), job.order.end(), uint64_t{0});
    std::shuffle(job.order.begin(), job.order.end(), std::mt19937_64(settings().seed));
  }
  int beside = settings().threads - 1;
  if (beside > 0 && job.clusters > 1) {
    helpers.run(job, beside);
  } else {
    job.work();
  }
  return !job.failed;
}

std::string lastError() {
  std::lock_guard lock(errorMutex);
  return errorText;
}

// The first one stays: what other threads report after it may be its consequence.
void setLastError(std::string text) {
  std::lock_guard lock(errorMutex);
  if (errorText.empty()) errorText = std::move(text);
}

void clearError() {
  std::lock_guard lock(errorMutex);
  errorText.clear();
}

}  // namespace emulator
