// driver_module.cpp: modules, functions and launches. A module's image is a shared object, the g++ build of a .cu file,
// in the place of a fatbin; it is loaded from memory, and its static initialisers register its kernels.
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#include "driver.h"
#include "memory.h"

using namespace emulator;

namespace {

struct Module;

struct Function {
  Module* module;
  const Kernel* kernel;
  int dynamicSharedBytes;  // what a launch may ask for
  uint32_t cluster;        // blocks of a cluster, where the source fixes that; else 0
};

struct Module {
  int file;
  void* handle;
  SharedVariables variables;
  int staticSharedBytes;  // of each of its kernels
  std::map<std::string, Function> functions;
};

Kernel* registering = nullptr;  // of the module that dlopen initialises now
ClusterSize* registeringSizes = nullptr;

constexpr int kSharedWithoutOptIn = 48 * 1024;  // the variables of the source included

Function* function(CUfunction f) { return reinterpret_cast<Function*>(f); }

// The bytes of the shared object: its section headers stand at the end.
size_t imageBytes(const void* image) {
  auto* header = static_cast<const Elf64_Ehdr*>(image);
  return header->e_shoff + size_t{header->e_shnum} * header->e_shentsize;
}

// The path names this process, so that a debugger, which opens it too, finds the same file.
std::string pathOf(int file) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), file);
  return path;
}

// How large a module's thread-local storage is, the program headers tell.
SharedVariables variablesOf(const void* image, void* handle) {
  SharedVariables result;
  auto* header = static_cast<const Elf64_Ehdr*>(image);
  auto* segments = reinterpret_cast<const Elf64_Phdr*>(static_cast<const char*>(image) + header->e_phoff);
  for (int i = 0; i < header->e_phnum; i++) {
    if (segments[i].p_type == PT_TLS) result.bytes = segments[i].p_memsz;
  }
  if (result.bytes != 0) dlinfo(handle, RTLD_DI_TLS_MODID, &result.module);
  result.checked = access_check::announced();
  return result;
}

// Bytes of shared variables of a kernel: nothing says which of the module's variables are whose, so those of the largest,
// rounded up to where dynamic shared memory begins.
int staticSharedBytes(const void* image) {
  auto* base = static_cast<const char*>(image);
  auto* header = static_cast<const Elf64_Ehdr*>(image);
  auto* sections = reinterpret_cast<const Elf64_Shdr*>(base + header->e_shoff);
  uint64_t largest = 0;
  for (int i = 0; i < header->e_shnum; i++) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    auto* symbols = reinterpret_cast<const Elf64_Sym*>(base + sections[i].sh_offset);
    for (uint64_t n = 0; n < sections[i].sh_size / sizeof(Elf64_Sym); n++) {
      if (ELF64_ST_TYPE(symbols[n].st_info) == STT_TLS && symbols[n].st_shndx != SHN_UNDEF) largest = std::max(largest, symbols[n].st_size);
    }
  }
  return static_cast<int>((largest + 1023) / 1024 * 1024);
}

CUresult load(CUmodule* result, const void* image) {
  auto* header = static_cast<const Elf64_Ehdr*>(image);
  if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    return explain(CUDA_ERROR_NO_BINARY_FOR_GPU, "the emulated device runs shared objects (*.emu.so), this image is none");
  }
  if (header->e_type != ET_DYN || header->e_machine != EM_X86_64) return explain(CUDA_ERROR_INVALID_IMAGE, "the image is no shared object for x86-64");
  size_t bytes = imageBytes(image);
  int file = memfd_create("kernels.emu.so", MFD_CLOEXEC);
  if (file < 0 || write(file, image, bytes) != static_cast<ssize_t>(bytes)) return explain(CUDA_ERROR_INVALID_IMAGE, "cannot write the image to memory");
  registering = nullptr;
  registeringSizes = nullptr;
  void* handle = dlopen(pathOf(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    close(file);
    return explain(CUDA_ERROR_INVALID_IMAGE, "%s", dlerror());
  }
  auto* module = new Module{file, handle, variablesOf(image, handle), staticSharedBytes(image), {}};
  for (Kernel* k = registering; k != nullptr; k = k->next) module->functions[k->name] = Function{module, k, kSharedWithoutOptIn - module->staticSharedBytes, 0};
  for (ClusterSize* s = registeringSizes; s != nullptr; s = s->next) module->functions[s->kernel].cluster = s->blocks;
  registering = nullptr;
  *result = reinterpret_cast<CUmodule>(module);
  return CUDA_SUCCESS;
}

// A launch's parameters, copied as the driver copies them: when the launch is submitted.
struct Parameters {
  std::vector<unsigned char> bytes;
  std::vector<void*> pointers;
};

std::shared_ptr<Parameters> copyParameters(const Kernel& k, void** kernelParams, const unsigned char* packed, size_t packedBytes) {
  auto result = std::make_shared<Parameters>();
  std::vector<size_t> offsets;
  size_t total = 0, source = 0;
  for (uint32_t i = 0; i < k.parameterCount; i++) {
    total = (total + 63) / 64 * 64;
    offsets.push_back(total);
    total += k.parameterBytes[i];
  }
  result->bytes.resize(total + 64);
  unsigned char* base = result->bytes.data() + (64 - reinterpret_cast<uintptr_t>(result->bytes.data()) % 64);
  for (uint32_t i = 0; i < k.parameterCount; i++) {
    const void* from = kernelParams != nullptr ? kernelParams[i] : nullptr;
    if (packed != nullptr) {
      source = (source + k.parameterAlign[i] - 1) / k.parameterAlign[i] * k.parameterAlign[i];
      if (source + k.parameterBytes[i] > packedBytes) return nullptr;
      from = packed + source;
      source += k.parameterBytes[i];
    }
    if (from == nullptr) return nullptr;
    memcpy(base + offsets[i], from, k.parameterBytes[i]);
    result->pointers.push_back(base + offsets[i]);
  }
  return result;
}

// A string for `(x,y,z)`.
std::string show(Dim3 d) { return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")"; }

CUresult refuse(const Kernel& k, const std::string& why) { return explain(CUDA_ERROR_INVALID_VALUE, "kernel %s: %s", k.name, why.c_str()); }

CUresult checkShape(const Function& f, Dim3 grid, Dim3 block, unsigned shared) {
  const Kernel& k = *f.kernel;
  uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) {
    return refuse(k, "grid " + show(grid) + ": each size is at least 1, at most 2147483647, 65535, 65535");
  }
  if (threads == 0 || threads > kMaxThreads || block.z > 64) return refuse(k, "block " + show(block) + ": 1 to 1024 threads, at most 64 in z");
  if (threads > k.maxThreads) return refuse(k, "block of " + std::to_string(threads) + " threads, its launch bounds allow " + std::to_string(k.maxThreads));
  if (static_cast<int64_t>(shared) > f.dynamicSharedBytes) {
    return refuse(k, std::to_string(shared) + " bytes of dynamic shared memory, " + std::to_string(f.dynamicSharedBytes) +
                         " allowed beside the " + std::to_string(f.module->staticSharedBytes) +
                         " of the source: set CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES first");
  }
  return CUDA_SUCCESS;
}

// Blocks of a cluster, which all run together. `asked`: the launch's; no x: it does not say.
CUresult clusterOf(const Function& f, Dim3 asked, Dim3 grid, Dim3 block, Dim3* cluster) {
  const Kernel& k = *f.kernel;
  *cluster = asked.x != 0 ? asked : Dim3{std::max(f.cluster, 1u), 1, 1};
  const Dim3& c = *cluster;
  uint64_t blocks = uint64_t{c.x} * c.y * c.z;
  auto refuseIt = [&](const std::string& why) {
    return explain(CUDA_ERROR_INVALID_CLUSTER_SIZE, "kernel %s: clusters of %s blocks: %s", k.name, show(c).c_str(), why.c_str());
  };
  if (f.cluster != 0 && (c.x != f.cluster || c.y != 1 || c.z != 1)) return refuseIt("its source says " + std::to_string(f.cluster));
  if (blocks == 1) return CUDA_SUCCESS;
  if (settings().capability < 90) return refuseIt("clusters need compute capability 9.0");
  if (blocks == 0 || blocks > kMaxCluster) return refuseIt("1 to " + std::to_string(kMaxCluster) + " in all");
  if (grid.x % c.x != 0 || grid.y % c.y != 0 || grid.z % c.z != 0) return refuseIt("the grid " + show(grid) + " is no multiple of that");
  uint64_t threads = (uint64_t{block.x} * block.y * block.z + 127) / 128 * 128;
  if (blocks * threads > kMaxResident) return refuseIt("the emulated device has room for " + std::to_string(kMaxResident) + " threads of a cluster");
  return CUDA_SUCCESS;
}

CUresult launchKernel(CUfunction handle, Dim3 grid, Dim3 block, Dim3 askedCluster, unsigned shared, CUstream stream, void** kernelParams, void** extra) {
  Function* f = function(handle);
  if (f == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const Kernel* k = f->kernel;
  if (CUresult r = checkShape(*f, grid, block, shared)) return r;
  Dim3 cluster;
  if (CUresult r = clusterOf(*f, askedCluster, grid, block, &cluster)) return r;
  const unsigned char* packed = nullptr;
  size_t packedBytes = 0;
  // Pairs of a key (1: the buffer, 2: a pointer to its size) and a value, ended by 0.
  for (void** e = extra; e != nullptr && *e != nullptr; e += 2) {
    if (reinterpret_cast<uintptr_t>(*e) == 1) packed = static_cast<unsigned char*>(e[1]);
    if (reinterpret_cast<uintptr_t>(*e) == 2) packedBytes = *static_cast<size_t*>(e[1]);
  }
  auto parameters = copyParameters(*k, kernelParams, packed, packedBytes);
  if (parameters == nullptr) return refuse(*k, "takes " + std::to_string(k->parameterCount) + " parameters, got fewer");
  SharedVariables variables = f->module->variables;
  return enqueue(stream, NodeType::kernel, [=] {
    clearError();
    return launch({k, parameters->pointers.data(), grid, block, shared, variables, cluster}) ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_FAILED;
  });
}

}  // namespace

void emulator::registerKernel(Kernel* kernel) {
  kernel->next = registering;
  registering = kernel;
}

void emulator::registerClusterSize(ClusterSize* size) {
  size->next = registeringSizes;
  registeringSizes = size;
}

// Modules -----------------------------------------------------------------------------------------

API cuModuleLoadData(CUmodule* module, const void* image) {
  ENTER_UNCAPTURED;
  return load(module, image);
}

API cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, int*, void**) {
  ENTER_UNCAPTURED;
  return load(module, image);
}

API cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  ENTER_UNCAPTURED;
  return load(module, image);
}

API cuModuleUnload(CUmodule handle) {
  ENTER;
  drain();
  auto* module = reinterpret_cast<Module*>(handle);
  dlclose(module->handle);
  // dlopen knows a file by its path. While the old object is still mapped, its number must not be given to a new one.
  void* still = dlopen(pathOf(module->file).c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (still == nullptr) close(module->file);
  delete module;
  return CUDA_SUCCESS;
}

API cuModuleGetFunction(CUfunction* result, CUmodule handle, const char* name) {
  ENTER_CONTEXT;
  auto& functions = reinterpret_cast<Module*>(handle)->functions;
  auto it = functions.find(name);
  if (it == functions.end()) return explain(CUDA_ERROR_NOT_FOUND, "the module has no kernel %s", name);
  *result = reinterpret_cast<CUfunction>(&it->second);
  return CUDA_SUCCESS;
}

API cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule handle, const char* name) {
  ENTER_CONTEXT;
  void* symbol = dlsym(reinterpret_cast<Module*>(handle)->handle, name);
  if (symbol == nullptr) return explain(CUDA_ERROR_NOT_FOUND, "the module has no global %s", name);
  Dl_info info;
  void* found = nullptr;
  dladdr1(symbol, &info, &found, RTLD_DL_SYMENT);
  auto* entry = static_cast<const Elf64_Sym*>(found);
  if (address != nullptr) *address = reinterpret_cast<CUdeviceptr>(symbol);
  if (bytes != nullptr) *bytes = entry == nullptr ? 0 : entry->st_size;
  return CUDA_SUCCESS;
}

// Functions ---------------------------------------------------------------------------------------

API cuFuncGetAttribute(int* value, int attribute, CUfunction handle) {
  ENTER_CONTEXT;
  Function* f = function(handle);
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = static_cast<int>(f->kernel->maxThreads); break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = f->module->staticSharedBytes; break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = f->dynamicSharedBytes; break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 32; break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = settings().capability; break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = -1; break;
    default: *value = 0;
  }
  return CUDA_SUCCESS;
}

API cuFuncSetAttribute(CUfunction handle, int attribute, int value) {
  ENTER_CONTEXT;
  if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
    Function* f = function(handle);
    if (value < 0 || value > deviceLimits().sharedBytesPerBlock - f->module->staticSharedBytes) {
      return explain(CUDA_ERROR_INVALID_VALUE, "kernel %s: %d bytes of dynamic shared memory beside %d of the source, the device has %d for a block", f->kernel->name,
                     value, f->module->staticSharedBytes, deviceLimits().sharedBytesPerBlock);
    }
    f->dynamicSharedBytes = value;
  }
  return CUDA_SUCCESS;
}

// Parameters lie one behind the other, each at its own alignment, as a GPU has them in constant memory.
API cuFuncGetParamInfo(CUfunction handle, size_t index, size_t* offset, size_t* bytes) {
  ENTER_CONTEXT;
  const Kernel* k = function(handle)->kernel;
  if (index >= k->parameterCount) return CUDA_ERROR_INVALID_VALUE;
  size_t at = 0;
  for (size_t i = 0;; i++) {
    at = (at + k->parameterAlign[i] - 1) / k->parameterAlign[i] * k->parameterAlign[i];
    if (i == index) break;
    at += k->parameterBytes[i];
  }
  *offset = at;
  if (bytes != nullptr) *bytes = k->parameterBytes[index];
  return CUDA_SUCCESS;
}

API cuFuncSetCacheConfig(CUfunction, int) {
  ENTER_CONTEXT;
  return CUDA_SUCCESS;
}

API cuFuncGetModule(CUmodule* module, CUfunction handle) {
  ENTER_CONTEXT;
  *module = reinterpret_cast<CUmodule>(function(handle)->module);
  return CUDA_SUCCESS;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction handle, int blockSize, size_t shared) {
  ENTER_CONTEXT;
  if (blockSize <= 0) return CUDA_ERROR_INVALID_VALUE;
  DeviceLimits limits = deviceLimits();
  int byThreads = limits.threadsPerMultiprocessor / ((blockSize + 31) / 32 * 32);
  int ofBlock = static_cast<int>(shared) + function(handle)->module->staticSharedBytes + 1024;  // the last for the system
  int byShared = limits.sharedBytesPerMultiprocessor / ofBlock;
  *blocks = std::min({byThreads, byShared, limits.blocksPerMultiprocessor});
  return CUDA_SUCCESS;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction f, int blockSize, size_t shared, unsigned) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, f, blockSize, shared);
}

// Launches ----------------------------------------------------------------------------------------

API cuLaunchKernel(CUfunction f, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ, unsigned shared, CUstream stream,
                   void** parameters, void** extra) {
  ENTER_CONTEXT;
  return launchKernel(f, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, {}, shared, stream, parameters, extra);
}

// Attributes other than the size of clusters only tune.
API cuLaunchKernelEx(const CUlaunchConfig* c, CUfunction f, void** parameters, void** extra) {
  ENTER_CONTEXT;
  Dim3 cluster{};
  for (unsigned i = 0; i < c->numAttrs; i++) {
    const CUlaunchAttribute& a = c->attrs[i];
    if (a.id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) cluster = {a.value.clusterDim.x, a.value.clusterDim.y, a.value.clusterDim.z};
  }
  return launchKernel(f, {c->gridDimX, c->gridDimY, c->gridDimZ}, {c->blockDimX, c->blockDimY, c->blockDimZ}, cluster, c->sharedMemBytes, c->hStream, parameters,
                      extra);
}
