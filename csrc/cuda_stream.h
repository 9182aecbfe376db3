// The current stream of a CUDA device, on a module that must also load where torch has no CUDA.
#pragma once
#include <dlfcn.h>
#include <torch/csrc/stable/accelerator.h>

namespace resblock {

// While it lives, the device is the current one.
class CudaStream {
 public:
  explicit CudaStream(int32_t device) : guard_(device) { STABLE_TORCH_ERROR_CODE_CHECK(lookup()(device, &stream_)); }
  void* get() const { return stream_; }

 private:
  using CurrentStream = AOTITorchError (*)(int32_t, void**);

  // Lives in libtorch_cuda.so, which a CPU build of torch does not have: looked up, not linked.
  static CurrentStream lookup() {
    static const CurrentStream found = [] {
      void* torch_cuda = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
      void* symbol = torch_cuda ? dlsym(torch_cuda, "aoti_torch_get_current_cuda_stream") : nullptr;
      return reinterpret_cast<CurrentStream>(symbol);
    }();
    STD_TORCH_CHECK(found, "residual_lstm: this torch has no CUDA, install one that has");
    return found;
  }

  torch::stable::accelerator::DeviceGuard guard_;
  void* stream_ = nullptr;
};

}  // namespace resblock
