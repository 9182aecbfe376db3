// General schedule, forward.
#include "core/cuda/general.h"
#include "core/cuda/schedules.h"

namespace resblock::cuda {
namespace {

__device__ double dot(const double* w, const double* x, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) sum += w[k] * x[k];
  return sum;
}

// z = W x + U h[t-1] + b, one row per thread.
__device__ void pre_activations(const Forward<double>& p, int64_t t, int64_t b, int64_t layer,
                                const GeneralForwardWorkspace& my) {
  const int64_t H = p.size.H, I = p.size.I, rows = gates_of_cell * H;
  const double* W = input_weights(p.weights, p.size, layer);
  for (int64_t row = threadIdx.x; row < rows; row += blockDim.x) {
    const double Wx = layer ? dot(W + row * H, my.x, H) : dot(W + row * I, p.input + (t * p.size.B + b) * I, I);
    const double Uh = dot(p.weights.hh + (layer * rows + row) * H, my.h + layer * H, H);
    my.z[row] = Wx + Uh + p.weights.bias[layer * rows + row];
  }
}

// The cell of one layer and step, one unit per thread.
__device__ void cells(const Forward<double>& p, uint64_t seed, int64_t t, int64_t b, int64_t layer,
                      const GeneralForwardWorkspace& my) {
  const int64_t H = p.size.H, L = p.size.L, cell = t * p.size.B + b;
  for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
    double &h = my.h[layer * H + u], &c = my.c[layer * H + u], &y = my.y[layer * H + u];
    Gates<double> gate = {my.z[u], my.z[H + u], my.z[2 * H + u], my.z[3 * H + u]};
    const CellState<double> now = cell_forward<double>(p.options, gate, peephole_of(p, layer, u), c);
    h = now.h;
    c = now.c;
    if (p.cells) p.cells[cells_index(p, layer, t, b, u)] = c;
    y = has_shortcut(p.options, layer) ? h + my.y[(layer - 2) * H + u] : h;
    if (layer + 1 < L)
      my.x[u] = y * dropout_factor(p, seed, layer + 1, t, b, u);
    else
      p.output[cell * H + u] = y;
    if (!p.saved) continue;
    const SavedLayer<double> saved = saved_layer(p.saved, p.size, layer);
    double* gates = saved.gates + cell * gates_of_cell * H + u;
    gates[0] = gate.i;
    gates[H] = gate.f;
    gates[2 * H] = gate.g;
    gates[3 * H] = gate.o;
    saved.c[cell * H + u] = c;
    saved.y[cell * H + u] = y;
  }
}

__device__ void zero_states(const Forward<double>& p, int64_t layer, const GeneralForwardWorkspace& my) {
  for (int64_t u = threadIdx.x; u < p.size.H; u += blockDim.x)
    my.h[layer * p.size.H + u] = my.c[layer * p.size.H + u] = 0;
  __syncthreads();
}

// The steps past the sequence's length, and the states it ends with.
__device__ void finish_sequence(const Forward<double>& p, int64_t b, const GeneralForwardWorkspace& my) {
  const int64_t H = p.size.H, B = p.size.B;
  for (int64_t t = running_steps(p, b); t < p.size.T; ++t)
    for (int64_t u = threadIdx.x; u < H; u += blockDim.x) p.output[(t * B + b) * H + u] = 0;
  for (int64_t layer = 0; layer < p.size.L; ++layer)
    for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
      const double h = my.h[layer * H + u], c = my.c[layer * H + u];
      p.h_n[(layer * B + b) * H + u] = h;
      p.c_n[(layer * B + b) * H + u] = c;
      for (int64_t t = running_steps(p, b); p.cells && t < p.size.T; ++t) p.cells[cells_index(p, layer, t, b, u)] = 0;
      if (!p.saved) continue;
      const SavedLayer<double> saved = saved_layer(p.saved, p.size, layer);
      for (int64_t t = running_steps(p, b); t < p.size.T; ++t) {
        for (int64_t gate = 0; gate < gates_of_cell; ++gate)
          saved.gates[((t * B + b) * gates_of_cell + gate) * H + u] = 0;
        saved.c[(t * B + b) * H + u] = c;
        saved.y[(t * B + b) * H + u] = 0;
      }
    }
}

__global__ void forward_kernel(Forward<double> p, const int64_t* seed_on_device, GeneralForwardWorkspace my) {
  const uint64_t seed = dropout_seed(p, seed_on_device);
  const int64_t H = p.size.H, B = p.size.B;
  my.move_to(blockIdx.x, p.size);
  for (int64_t b = blockIdx.x; b < B; b += gridDim.x) {
    for (int64_t layer = 0; layer < p.size.L; ++layer)
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
        my.h[layer * H + u] = p.h_0[(layer * B + b) * H + u];
        my.c[layer * H + u] = p.c_0[(layer * B + b) * H + u];
      }
    __syncthreads();
    for (int64_t t = 0; t < running_steps(p, b); ++t)
      for (int64_t layer = 0; layer < p.size.L; ++layer) {
        if (is_reset(p, t, b)) zero_states(p, layer, my);
        pre_activations(p, t, b, layer, my);
        __syncthreads();
        cells(p, seed, t, b, layer, my);
        __syncthreads();
      }
    finish_sequence(p, b, my);
  }
}

}  // namespace

const char* general_forward(const Plan& plan, const Forward<double>& p, const Context& context, void* workspace) {
  if (p.size.B == 0) return nullptr;
  Memory memory(workspace);
  const GeneralForwardWorkspace w(memory, p.size, plan.partition);
  return launch_kernel(context, general_shape(p.size.B, gates_of_cell * p.size.H), forward_kernel, p, context.seed, w);
}

}  // namespace resblock::cuda
