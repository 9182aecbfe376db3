// General schedule, backward: a walk back, and then the gradients of the weights from what it has left.
#include "core/cuda/general.h"
#include "core/cuda/schedules.h"

namespace resblock::cuda {
namespace {

// The gradients of one layer's pre-activations at one step, one unit per thread.
__device__ void cells(const Backward<double>& p, uint64_t seed, int64_t t, int64_t b, int64_t layer,
                      const GeneralBackwardWorkspace& my) {
  const int64_t H = p.size.H, B = p.size.B, now = t * B + b, before = now - B, cell = layer * p.size.T * B + now;
  const SavedLayer<const double> saved = saved_layer(p.saved, p.size, layer);
  for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
    const double* gates = saved.gates + now * gates_of_cell * H + u;
    const Gates<double> gate = {gates[0], gates[H], gates[2 * H], gates[3 * H]};
    const int64_t initial = (layer * B + b) * H + u;
    const bool reset = is_reset(p, t, b);
    const double c_before = reset ? 0 : t ? saved.c[before * H + u] : p.c_0[initial];
    const double o_before = t && !reset ? saved.gates[(before * gates_of_cell + gate_o) * H + u] : 0;
    if (p.grad_cells) my.dc[layer * H + u] += p.grad_cells[cells_index(p, layer, t, b, u)];
    const double dh = my.dy[layer * H + u] + my.dh[layer * H + u];
    const Gates<double> dz = cell_backward<double>(p.options, gate, peephole_of(p, layer, u), c_before,
                                                   saved.c[now * H + u], dh, my.dc[layer * H + u]);
    if (reset) my.dc[layer * H + u] = 0;
    double* to = my.dz + cell * gates_of_cell * H + u;
    to[0] = dz.i;
    to[H] = dz.f;
    to[2 * H] = dz.g;
    to[3 * H] = dz.o;
    my.h_before[cell * H + u] = t || reset ? o_before * tanh(c_before) : p.h_0[initial];
    if (layer)
      my.x[cell * H + u] =
          saved_layer(p.saved, p.size, layer - 1).y[now * H + u] * dropout_factor(p, seed, layer, t, b, u);
  }
}

// (W^T dz)[column]
__device__ double transposed_dot(const double* w, int64_t columns, int64_t column, const double* dz, int64_t rows) {
  double sum = 0;
  for (int64_t row = 0; row < rows; ++row) sum += w[row * columns + column] * dz[row];
  return sum;
}

// From the pre-activations back to h[t-1] and to what went into the layer, one column per thread.
__device__ void inputs(const Backward<double>& p, uint64_t seed, int64_t t, int64_t b, int64_t layer,
                       const GeneralBackwardWorkspace& my) {
  const Sizes& s = p.size;
  const int64_t H = s.H, I = s.I, now = t * s.B + b, rows = gates_of_cell * H;
  const double* dz = my.dz + (layer * s.T * s.B + now) * rows;
  const double *W = input_weights(p.weights, s, layer), *U = p.weights.hh + layer * rows * H;
  const bool reset = is_reset(p, t, b);
  for (int64_t u = threadIdx.x; u < H; u += blockDim.x)
    my.dh[layer * H + u] = reset ? 0 : transposed_dot(U, H, u, dz, rows);
  if (layer == 0) {
    for (int64_t k = threadIdx.x; k < I; k += blockDim.x) p.grad_input[now * I + k] = transposed_dot(W, I, k, dz, rows);
    return;
  }
  const bool passed_on = shortcut_passes(s, p.options, layer);
  for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
    const double dx = transposed_dot(W, H, u, dz, rows) * dropout_factor(p, seed, layer, t, b, u);
    my.dy[(layer - 1) * H + u] = passed_on ? dx + my.dy[(layer + 1) * H + u] : dx;
  }
}

__global__ void backward_kernel(Backward<double> p, const int64_t* seed_on_device, GeneralBackwardWorkspace my) {
  const uint64_t seed = dropout_seed(p, seed_on_device);
  const int64_t H = p.size.H, B = p.size.B, L = p.size.L, I = p.size.I;
  my.move_to(blockIdx.x, p.size);
  for (int64_t b = blockIdx.x; b < B; b += gridDim.x) {
    // Until the end of the sequence a thread keeps to its own units, also where it reads what it has written.
    for (int64_t layer = 0; layer < L; ++layer)
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
        my.dh[layer * H + u] = p.grad_h_n[(layer * B + b) * H + u];
        my.dc[layer * H + u] = p.grad_c_n[(layer * B + b) * H + u];
      }
    for (int64_t t = running_steps(p, b); t < p.size.T; ++t)
      for (int64_t k = threadIdx.x; k < I; k += blockDim.x) p.grad_input[(t * B + b) * I + k] = 0;
    for (int64_t t = running_steps(p, b) - 1; t >= 0; --t) {
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) my.dy[(L - 1) * H + u] = p.grad_output[(t * B + b) * H + u];
      for (int64_t layer = L - 1; layer >= 0; --layer) {
        cells(p, seed, t, b, layer, my);
        __syncthreads();  // the columns of the next product need every row of dz
        inputs(p, seed, t, b, layer, my);
      }
    }
    for (int64_t layer = 0; layer < L; ++layer)
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
        p.grad_h_0[(layer * B + b) * H + u] = my.dh[layer * H + u];
        p.grad_c_0[(layer * B + b) * H + u] = my.dc[layer * H + u];
      }
  }
}

// Sums dz * source(t, b) over all steps of all sequences, in a fixed order.
template <class Source>
__device__ double sum_over_steps(const Inputs<double>& p, const double* dz, Source source) {
  double sum = 0;
  for (int64_t b = 0; b < p.size.B; ++b)
    for (int64_t t = 0; t < running_steps(p, b); ++t)
      sum += dz[(t * p.size.B + b) * gates_of_cell * p.size.H] * source(t, b);
  return sum;
}

// The gradients of the weights: one row of z per block, one weight per thread.
__global__ void weights_kernel(Backward<double> p, GeneralBackwardWorkspace w) {
  const Sizes& s = p.size;
  const int64_t T = s.T, B = s.B, H = s.H, I = s.I, rows = gates_of_cell * H;
  for (int64_t block = blockIdx.x; block < s.L * rows; block += gridDim.x) {
    const int64_t layer = block / rows, row = block % rows, gate = row / H, u = row % H, inputs = layer ? H : I;
    const double *dz = w.dz + layer * T * B * rows + row, *x = w.x + layer * T * B * H;
    const double *h_before = w.h_before + layer * T * B * H, *c = saved_layer(p.saved, s, layer).c;

    double* grad_W = input_weights(p.grad_weights, s, layer) + row * inputs;
    for (int64_t k = threadIdx.x; k < inputs; k += blockDim.x)
      grad_W[k] = sum_over_steps(
          p, dz, [=](int64_t t, int64_t b) { return layer ? x[(t * B + b) * H + k] : p.input[(t * B + b) * I + k]; });

    double* grad_U = p.grad_weights.hh + (layer * rows + row) * H;
    for (int64_t k = threadIdx.x; k < H; k += blockDim.x)
      grad_U[k] = sum_over_steps(p, dz, [=](int64_t t, int64_t b) { return h_before[(t * B + b) * H + k]; });

    if (threadIdx.x) continue;
    p.grad_weights.bias[layer * rows + row] = sum_over_steps(p, dz, [](int64_t, int64_t) { return 1.; });
    if (gate == gate_g) continue;  // which has no peephole
    const int64_t peephole = (layer * peepholes_of_cell + peephole_of_gate(gate)) * H + u;
    p.grad_weights.peephole[peephole] = sum_over_steps(p, dz, [=](int64_t t, int64_t b) {
      const double before = is_reset(p, t, b) ? 0 : t ? c[((t - 1) * B + b) * H + u] : p.c_0[(layer * B + b) * H + u];
      return seen_by(gate, p.options, before, c[(t * B + b) * H + u]);
    });
  }
}

}  // namespace

const char* general_backward(const Plan& plan, const Backward<double>& p, const Context& context, void* workspace) {
  const Sizes& s = p.size;
  Memory memory(workspace);
  const GeneralBackwardWorkspace w(memory, s, plan.partition);
  const int64_t width = std::max(s.H, s.I);
  if (s.B > 0)
    if (const char* error = launch_kernel(context, general_shape(s.B, width), backward_kernel, p, context.seed, w))
      return error;
  return launch_kernel(context, general_shape(s.L * gates_of_cell * s.H, width), weights_kernel, p, w);
}

}  // namespace resblock::cuda
