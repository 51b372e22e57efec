// driver_stream.cpp: streams, events, capture and graphs. Work runs in the order in which it was submitted; with the lazy
// switch, not before someone waits. With the overlap switch, the streams beside the first one opened run ahead of it, or
// fall behind it, as far as events allow: the two orders in which an event that nobody waits for shows.
#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "driver.h"

using namespace emulator;

namespace {
struct Node {
  NodeType type;
  std::function<CUresult()> work;
};
struct Graph {
  std::vector<Node> nodes;
};
struct Stream;

// How much of each stream's recorded work comes before a point.
using Past = std::map<const Stream*, uint64_t>;

// A recording in progress; the streams that joined it by waiting on its events share it.
struct Capture {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  Stream* origin = nullptr;
  int mode = 0;  // which threads may meanwhile do what is forbidden in a capture: 0 none, 1 others, 2 all
  std::thread::id thread = std::this_thread::get_id();
  bool invalid = false;
};

constexpr unsigned kNonBlocking = 1;  // the default stream does not wait for it, nor it for the default stream

struct Event {
  double milliseconds = -1;  // when its work was done; negative: never recorded
  std::weak_ptr<Capture> capture;
  Past past;              // where it was recorded last in a capture
  bool captured = false;  // recorded last in a capture, be that over or not: an edge of a graph, no point in time
  bool recorded = false;
  Stream* stream = nullptr;           // where it was recorded last
  uint64_t marked = 0, reached = 0;   // how often it was recorded, and which of these points its streams have passed
};

// Work on a stream; or, where there is an event, to wait for that.
struct Queued {
  std::function<CUresult()> work;
  uint64_t number;  // in the order of submission, over all streams
  Event* event = nullptr;
  Stream* recorder = nullptr;
  uint64_t mark = 0;
};

struct Stream {
  unsigned flags = 0;
  int priority = 0;
  uint64_t number = 0;  // in the order of opening
  std::shared_ptr<Capture> capture;
  Past past;  // of what it records next, its own work included
  std::deque<Queued> queue;

  bool blocked() const { return queue.front().event != nullptr && queue.front().event->reached < queue.front().mark; }

  void leaveCapture() {
    capture.reset();
    past.clear();
  }
};

Stream& legacy = *new Stream;
std::set<Stream*>& streams = *new std::set<Stream*>;
uint64_t opened = 0, submitted = 0;

// The handles 0, 1 and 2 stand for default streams.
Stream* resolve(CUstream handle) {
  if (reinterpret_cast<uintptr_t>(handle) <= 2) return &legacy;
  auto* stream = reinterpret_cast<Stream*>(handle);
  return streams.count(stream) != 0 ? stream : nullptr;
}

Capture* anyCapture() {
  for (Stream* s : streams) {
    if (s->capture) return s->capture.get();
  }
  return nullptr;
}

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

CUresult perform(const std::function<CUresult()>& work) {
  CUresult r = work();
  return r == CUDA_SUCCESS ? r : setSticky(r);
}

// The stream opened first: the one that kernels are launched on.
Stream* firstStream() {
  Stream* first = nullptr;
  for (Stream* s : streams) {
    if (first == nullptr || s->number < first->number) first = s;
  }
  return first;
}

// The next of a stream's work; what it waits for comes before.
CUresult step(Stream& s);

CUresult runUntil(Stream& s, const Event& event, uint64_t mark) {
  while (event.reached < mark && !s.queue.empty()) {
    if (CUresult r = step(s)) return r;
  }
  return CUDA_SUCCESS;
}

CUresult step(Stream& s) {
  Queued next = std::move(s.queue.front());
  s.queue.pop_front();
  if (next.event == nullptr) return perform(next.work);
  return streams.count(next.recorder) == 0 ? CUDA_SUCCESS : runUntil(*next.recorder, *next.event, next.mark);
}

// Lets the streams beside the first go on as far as nothing holds them up.
CUresult runAhead() {
  for (Stream* s : streams) {
    while (s != firstStream() && !s->queue.empty() && !s->blocked()) {
      if (CUresult r = step(*s)) return r;
    }
  }
  return CUDA_SUCCESS;
}

// Everything of a stream, and what that waits for.
CUresult finish(Stream& s) {
  while (!s.queue.empty()) {
    if (settings().overlap == Overlap::ahead) {
      if (CUresult r = runAhead()) return r;
      if (s.queue.empty()) break;
    }
    if (CUresult r = step(s)) return r;
  }
  return CUDA_SUCCESS;
}

// Everything of all streams in the order of submission.
CUresult finishInOrder() {
  for (;;) {
    Stream* next = nullptr;
    for (Stream* s : streams) {
      if (!s->queue.empty() && (next == nullptr || s->queue.front().number < next->queue.front().number)) next = s;
    }
    if (next == nullptr) return CUDA_SUCCESS;
    if (CUresult r = step(*next)) return r;
  }
}

bool nothingQueued() {
  return std::all_of(streams.begin(), streams.end(), [](Stream* s) { return s->queue.empty(); });
}

void forgetQueues() {
  for (Stream* s : streams) s->queue.clear();
}

// A failure ends the context, and all that was queued with it.
CUresult settled(CUresult r) {
  if (r != CUDA_SUCCESS) forgetQueues();
  return r == CUDA_SUCCESS ? contextState() : r;
}

CUresult submit(Stream& s, Queued work) {
  Overlap overlap = settings().overlap;
  if (&s == &legacy) {  // before and after everything else
    if (CUresult r = drain()) return r;
    return work.event == nullptr ? perform(work.work) : CUDA_SUCCESS;
  }
  if (overlap == Overlap::none && !settings().lazy && nothingQueued()) return work.event == nullptr ? perform(work.work) : CUDA_SUCCESS;
  work.number = submitted++;
  s.queue.push_back(std::move(work));
  bool isFirst = &s == firstStream();
  if (overlap == Overlap::ahead && !isFirst) return settled(runAhead());
  if (overlap == Overlap::behind && isFirst) return settled(finish(s));
  return CUDA_SUCCESS;
}

}  // namespace

namespace emulator {

CUresult enqueue(CUstream handle, NodeType type, std::function<CUresult()> work) {
  Stream* stream = resolve(handle);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    stream->capture->graph->nodes.push_back({type, std::move(work)});
    stream->past[stream]++;
    return CUDA_SUCCESS;
  }
  if (stream == &legacy) {
    for (Stream* s : streams) {
      if (!s->capture || (s->flags & kNonBlocking) != 0) continue;
      s->capture->invalid = true;
      return explain(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "work on the default stream while another stream captures");
    }
  }
  return submit(*stream, {std::move(work), 0});
}

CUresult drain() {
  if (settings().overlap == Overlap::none) return settled(finishInOrder());
  if (Stream* first = firstStream()) {
    if (CUresult r = finish(*first)) return settled(r);
  }
  for (Stream* s : streams) {
    if (CUresult r = finish(*s)) return settled(r);
  }
  return contextState();
}

CUresult forbiddenInCapture(const char* function) {
  Capture* c = anyCapture();
  if (c == nullptr || c->mode == 2 || (c->mode == 1 && c->thread != std::this_thread::get_id())) return CUDA_SUCCESS;
  c->invalid = true;
  return explain(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%s is not allowed while a stream captures", function);
}

void forgetStreams() {
  forgetQueues();
  for (Stream* s : streams) s->leaveCapture();
}

}  // namespace emulator

// Streams -----------------------------------------------------------------------------------------

API cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int priority) {
  ENTER_CONTEXT;
  auto* s = new Stream{flags, priority, opened++, nullptr, {}, {}};
  streams.insert(s);
  *stream = reinterpret_cast<CUstream>(s);
  return CUDA_SUCCESS;
}

API cuStreamCreate(CUstream* stream, unsigned flags) { return cuStreamCreateWithPriority(stream, flags, 0); }

API cuStreamDestroy_v2(CUstream handle) {
  ENTER;
  Stream* s = resolve(handle);
  if (s == nullptr || s == &legacy) return CUDA_ERROR_INVALID_HANDLE;
  drain();
  streams.erase(s);
  delete s;
  return CUDA_SUCCESS;
}

API cuStreamGetPriority(CUstream handle, int* priority) {
  ENTER_CONTEXT;
  Stream* s = resolve(handle);
  if (s == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *priority = s->priority;
  return CUDA_SUCCESS;
}

API cuStreamGetFlags(CUstream handle, unsigned* flags) {
  ENTER_CONTEXT;
  Stream* s = resolve(handle);
  if (s == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *flags = s->flags;
  return CUDA_SUCCESS;
}

// Waiting for what is being recorded, not done, makes no sense in any mode.
static CUresult awaitStream(CUstream handle) {
  Stream* s = resolve(handle);
  if (s == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (s->capture) {
    s->capture->invalid = true;
    return explain(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "nobody can wait for a stream that captures");
  }
  return settings().overlap == Overlap::none || s == &legacy ? drain() : settled(finish(*s));
}

API cuStreamSynchronize(CUstream handle) {
  ENTER_UNCAPTURED;
  return awaitStream(handle);
}

API cuStreamQuery(CUstream handle) {
  ENTER_UNCAPTURED;
  return awaitStream(handle);
}

// A capture spreads along the event.
API cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  ENTER_CONTEXT;
  Stream* s = resolve(handle);
  auto* e = reinterpret_cast<Event*>(event);
  if (s == nullptr || e == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  auto recorded = e->capture.lock();
  if (e->captured && !recorded) return explain(CUDA_ERROR_CAPTURED_EVENT, "a stream waits for an event of a capture that is over");
  if (recorded && !s->capture) {
    s->capture = recorded;
    s->past[s] = 1;  // a fork wants to be joined, be there work in it or not
  } else if (recorded && s->capture != recorded) {
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  } else if (!recorded && s->capture && e->recorded) {
    s->capture->invalid = true;
    return explain(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "a capturing stream waits for an event that was recorded outside of the capture");
  }
  if (recorded) {
    for (auto& [stream, work] : e->past) s->past[stream] = std::max(s->past[stream], work);
  }
  if (recorded || s->capture || e->stream == nullptr || e->stream == s) return CUDA_SUCCESS;
  return submit(*s, {nullptr, 0, e, e->stream, e->marked});
}

API cuLaunchHostFunc(CUstream stream, void (*function)(void*), void* data) {
  ENTER_CONTEXT;
  return enqueue(stream, NodeType::host, [=] {
    function(data);
    return CUDA_SUCCESS;
  });
}

// Events ------------------------------------------------------------------------------------------

API cuEventCreate(CUevent* event, unsigned) {
  ENTER_CONTEXT;
  *event = reinterpret_cast<CUevent>(new Event);
  return CUDA_SUCCESS;
}

API cuEventDestroy_v2(CUevent event) {
  ENTER;
  drain();  // work that was put off may still write to it
  delete reinterpret_cast<Event*>(event);
  return CUDA_SUCCESS;
}

API cuEventRecord(CUevent event, CUstream handle) {
  ENTER_CONTEXT;
  Stream* s = resolve(handle);
  auto* e = reinterpret_cast<Event*>(event);
  if (s == nullptr || e == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  e->recorded = true;
  e->capture = s->capture;
  e->captured = s->capture != nullptr;
  e->past = s->past;
  if (e->captured) return CUDA_SUCCESS;
  e->stream = s;
  return enqueue(handle, NodeType::event, [e, mark = ++e->marked] {
    e->milliseconds = now();
    e->reached = std::max(e->reached, mark);
    return CUDA_SUCCESS;
  });
}

API cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned) { return cuEventRecord(event, stream); }

static CUresult awaitEvent(CUevent event) {
  auto* e = reinterpret_cast<Event*>(event);
  if (e->captured) return explain(CUDA_ERROR_CAPTURED_EVENT, "nobody can wait for an event that was recorded in a capture");
  if (settings().overlap == Overlap::none) return drain();
  if (streams.count(e->stream) != 0) return settled(runUntil(*e->stream, *e, e->marked));
  return contextState();
}

API cuEventSynchronize(CUevent event) {
  ENTER_UNCAPTURED;
  return awaitEvent(event);
}

API cuEventQuery(CUevent event) {
  ENTER_UNCAPTURED;
  return awaitEvent(event);
}

API cuEventElapsedTime(float* milliseconds, CUevent begin, CUevent end) {
  ENTER_CONTEXT;
  auto *b = reinterpret_cast<Event*>(begin), *e = reinterpret_cast<Event*>(end);
  if (!b->recorded || !e->recorded) return CUDA_ERROR_INVALID_HANDLE;
  if (b->milliseconds < 0 || e->milliseconds < 0) return CUDA_ERROR_NOT_READY;
  *milliseconds = static_cast<float>(e->milliseconds - b->milliseconds);
  return CUDA_SUCCESS;
}

// Capture -----------------------------------------------------------------------------------------

API cuStreamBeginCapture_v2(CUstream handle, int mode) {
  ENTER_CONTEXT;
  Stream* s = resolve(handle);
  if (s == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (s == &legacy) return explain(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the default stream cannot capture");
  if (s->capture) return CUDA_ERROR_ILLEGAL_STATE;
  s->capture = std::make_shared<Capture>();
  s->capture->origin = s;
  s->capture->mode = mode;
  return CUDA_SUCCESS;
}

API cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  ENTER_CONTEXT;
  *graph = nullptr;
  Stream* s = resolve(handle);
  if (s == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (!s->capture) return CUDA_ERROR_ILLEGAL_STATE;
  if (s->capture->origin != s) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  if (s->capture->mode != 2 && s->capture->thread != std::this_thread::get_id()) return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  std::shared_ptr<Capture> capture = s->capture;
  bool unjoined = false;
  for (Stream* other : streams) {
    if (other->capture == capture && s->past[other] < other->past[other]) unjoined = true;
  }
  for (Stream* other : streams) {
    if (other->capture == capture) other->leaveCapture();
  }
  if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (unjoined) return explain(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "a stream that joined the capture was not awaited before its end");
  *graph = reinterpret_cast<CUgraph>(capture->graph.release());
  return CUDA_SUCCESS;
}

// 0 none, 1 active, 2 invalidated.
API cuStreamIsCapturing(CUstream handle, int* status) {
  ENTER_CONTEXT;
  Stream* s = resolve(handle);
  if (s == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *status = !s->capture ? 0 : s->capture->invalid ? 2 : 1;
  return CUDA_SUCCESS;
}

API cuThreadExchangeStreamCaptureMode(int* mode) {
  ENTER;
  static thread_local int current = 0;
  std::swap(current, *mode);
  return CUDA_SUCCESS;
}

// Graphs ------------------------------------------------------------------------------------------

API cuGraphCreate(CUgraph* graph, unsigned) {
  ENTER_CONTEXT;
  *graph = reinterpret_cast<CUgraph>(new Graph);
  return CUDA_SUCCESS;
}

// With nodes == null, how many there are; else fills at most *count of them, null beyond the last.
API cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  ENTER_CONTEXT;
  auto& list = reinterpret_cast<Graph*>(graph)->nodes;
  if (nodes != nullptr) {
    for (size_t i = 0; i < *count; i++) nodes[i] = i < list.size() ? reinterpret_cast<CUgraphNode>(&list[i]) : nullptr;
    *count = std::min(*count, list.size());
  } else {
    *count = list.size();
  }
  return CUDA_SUCCESS;
}

API cuGraphNodeGetType(CUgraphNode node, int* type) {
  ENTER_CONTEXT;
  *type = static_cast<int>(reinterpret_cast<Node*>(node)->type);
  return CUDA_SUCCESS;
}

API cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  ENTER_CONTEXT;
  *executable = reinterpret_cast<CUgraphExec>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return CUDA_SUCCESS;
}

API cuGraphUpload(CUgraphExec, CUstream) {
  ENTER_CONTEXT;
  return CUDA_SUCCESS;
}

API cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  ENTER_CONTEXT;
  for (const Node& node : reinterpret_cast<Graph*>(executable)->nodes) {
    if (CUresult r = enqueue(stream, node.type, node.work)) return r;
  }
  return CUDA_SUCCESS;
}

API cuGraphDestroy(CUgraph graph) {
  ENTER;
  delete reinterpret_cast<Graph*>(graph);
  return CUDA_SUCCESS;
}

API cuGraphExecDestroy(CUgraphExec executable) {
  ENTER;
  delete reinterpret_cast<Graph*>(executable);
  return CUDA_SUCCESS;
}
