// access_hooks.cpp: what -fsanitize=thread,alignment makes the compiler call in a checked image.
#include "access_check.h"
#include "scheduler.h"
#include "trace.h"

struct TlsIndex {
  unsigned long module, offset;
};
extern "C" void* __tls_get_addr(TlsIndex*);  // of the C library: the address in the calling thread, allocated if need be

namespace emulator {

unsigned char* SharedVariables::begin() const {
  if (module == 0) return nullptr;
  TlsIndex index{module, 0};
  return static_cast<unsigned char*>(__tls_get_addr(&index));
}

namespace {

__thread bool checkedModule __attribute__((tls_model("initial-exec"))) = false;

// Inlined into each hook, whose return address is the place of the access.
inline __attribute__((always_inline)) void onAccess(const void* address, size_t bytes, bool write) {
  if (current == nullptr) return;
  if (__builtin_expect(trace::on, false)) trace::access(address, bytes, write, __builtin_return_address(0));
  access_check::access(current->number, address, bytes, write, __builtin_return_address(0));
}

// Of -fsanitize=alignment.
struct TypeName {
  uint16_t kind, information;
  char name[1];  // and more, quoted
};

struct Misaligned {
  const char* file;
  uint32_t line, column;
  const TypeName* type;
  uint8_t logarithm;  // of the alignment
};

}  // namespace

bool access_check::announced() {
  bool result = checkedModule;
  checkedModule = false;
  return result;
}

}  // namespace emulator

using emulator::onAccess;

#define HOOK extern "C" __attribute__((visibility("default"))) void
#define HOOKS(bytes)                                                              \
  HOOK __tsan_read##bytes(void* p) { onAccess(p, bytes, false); }                 \
  HOOK __tsan_write##bytes(void* p) { onAccess(p, bytes, true); }                 \
  HOOK __tsan_unaligned_read##bytes(void* p) { onAccess(p, bytes, false); }       \
  HOOK __tsan_unaligned_write##bytes(void* p) { onAccess(p, bytes, true); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
HOOK __tsan_read_range(void* p, size_t bytes) { onAccess(p, bytes, false); }
HOOK __tsan_write_range(void* p, size_t bytes) { onAccess(p, bytes, true); }
HOOK __tsan_func_entry(void*) {}
HOOK __tsan_func_exit() {}
HOOK __tsan_vptr_update(void**, void*) {}
// Called by the initialiser of each checked module.
HOOK __tsan_init() { emulator::checkedModule = true; }

// Called where an address is no multiple of what its type asks for.
HOOK __ubsan_handle_type_mismatch_v1(const emulator::Misaligned* m, void* address) {
  if (emulator::current == nullptr) return;
  emulator::fail("misaligned: address %p is no multiple of %u, which %s at %s:%u wants", address, 1u << m->logarithm, m->type->name, m->file, m->line);
}
