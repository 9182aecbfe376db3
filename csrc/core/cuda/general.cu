// The general schedule: one block per sequence, its threads over gates and units, walks time and layers. It takes
// every size; all that a block remembers between steps lies in the workspace.
#include "core/cuda/general.h"

#include <algorithm>

#include "core/cell.h"
#include "core/cuda/launch_kernel.h"
#include "core/cuda/layer_inputs.h"

namespace resblock::cuda {
namespace {

constexpr int64_t most_blocks = 4096;  // more sequences than this take turns
constexpr int64_t most_threads = 256;

template <class S>
__device__ Peephole<Arithmetic<S>> peephole(const Inputs<S>& p, int64_t layer, int64_t unit) {
  const int64_t H = p.size.H;
  const S* w = p.weights.peephole + layer * 3 * H + unit;
  return {load(w[0]), load(w[H]), load(w[2 * H])};
}

template <class S, class X>
__device__ Arithmetic<S> dot(const S* w, const X* x, int64_t n) {
  Arithmetic<S> sum = 0;
  for (int64_t k = 0; k < n; ++k) sum += load(w[k]) * load(x[k]);
  return sum;
}

// ---- forward

// What one block keeps: of every layer the state and this step's y; of the layer at hand its input and z.
template <class A>
struct ForwardScratch {
  A *h, *c, *y;  // (L, H)
  A* x;          // (H,)
  A* z;          // (4H,)
  uint64_t seed;

  RESBLOCK_INLINE static int64_t size(const Sizes& s) { return 3 * s.L * s.H + 5 * s.H; }

  RESBLOCK_INLINE ForwardScratch(A* workspace, const Sizes& s, int64_t block, uint64_t seed) : seed(seed) {
    h = workspace + block * size(s);
    c = h + s.L * s.H;
    y = c + s.L * s.H;
    x = y + s.L * s.H;
    z = x + s.H;
  }
};

// z = W x + U h[t-1] + b, one row per thread.
template <class S>
__device__ void pre_activations(const Forward<S>& p, int64_t t, int64_t b, int64_t layer,
                                const ForwardScratch<Arithmetic<S>>& my) {
  const int64_t H = p.size.H, I = p.size.I;
  const S* W = input_weights(p.weights, p.size, layer);
  for (int64_t row = threadIdx.x; row < 4 * H; row += blockDim.x) {
    const Arithmetic<S> Wx = layer ? dot(W + row * H, my.x, H) : dot(W + row * I, p.input + (t * p.size.B + b) * I, I);
    const Arithmetic<S> Uh = dot(p.weights.hh + (layer * 4 * H + row) * H, my.h + layer * H, H);
    my.z[row] = Wx + Uh + load(p.weights.bias[layer * 4 * H + row]);
  }
}

// The cell of one layer and step, one unit per thread.
template <bool previous, class S>
__device__ void cells_forward(const Forward<S>& p, int64_t t, int64_t b, int64_t layer,
                              const ForwardScratch<Arithmetic<S>>& my) {
  using A = Arithmetic<S>;
  const int64_t H = p.size.H, L = p.size.L, cell = t * p.size.B + b;
  for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
    A &h = my.h[layer * H + u], &c = my.c[layer * H + u], &y = my.y[layer * H + u];
    Gates<A> gate = {my.z[u], my.z[H + u], my.z[2 * H + u], my.z[3 * H + u]};
    const CellState<A> now = cell_forward<previous, A>(gate, peephole(p, layer, u), c);
    h = now.h;
    c = now.c;
    y = has_shortcut(p.options, layer) ? h + my.y[(layer - 2) * H + u] : h;
    if (layer + 1 < L)
      my.x[u] = y * dropout_factor(p, my.seed, layer + 1, t, b, u);
    else
      store(p.output + cell * H + u, y);
    if (!p.saved) continue;
    const SavedLayer<A> saved = saved_layer(p.saved, p.size, layer);
    A* gates = saved.gates + cell * 4 * H + u;
    gates[0] = gate.i;
    gates[H] = gate.f;
    gates[2 * H] = gate.g;
    gates[3 * H] = gate.o;
    saved.c[cell * H + u] = c;
    saved.y[cell * H + u] = y;
  }
}

// The steps past the sequence's length, and the states it ends with.
template <class S>
__device__ void finish_sequence(const Forward<S>& p, int64_t b, const ForwardScratch<Arithmetic<S>>& my) {
  using A = Arithmetic<S>;
  const int64_t H = p.size.H, B = p.size.B;
  for (int64_t t = running_steps(p, b); t < p.size.T; ++t)
    for (int64_t u = threadIdx.x; u < H; u += blockDim.x) store(p.output + (t * B + b) * H + u, A(0));
  for (int64_t layer = 0; layer < p.size.L; ++layer)
    for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
      const A h = my.h[layer * H + u], c = my.c[layer * H + u];
      store(p.h_n + (layer * B + b) * H + u, h);
      store(p.c_n + (layer * B + b) * H + u, c);
      if (!p.saved) continue;
      const SavedLayer<A> saved = saved_layer(p.saved, p.size, layer);
      for (int64_t t = running_steps(p, b); t < p.size.T; ++t) {
        for (int64_t gate = 0; gate < 4; ++gate) saved.gates[(t * B + b) * 4 * H + gate * H + u] = 0;
        saved.c[(t * B + b) * H + u] = c;
        saved.y[(t * B + b) * H + u] = 0;
      }
    }
}

template <bool previous, class S>
__global__ void forward_kernel(Forward<S> p, const int64_t* seed_on_device, Arithmetic<S>* workspace) {
  const int64_t H = p.size.H, B = p.size.B;
  const ForwardScratch<Arithmetic<S>> my(workspace, p.size, blockIdx.x,
                                         seed_on_device ? uint64_t(*seed_on_device) : p.options.seed);
  for (int64_t b = blockIdx.x; b < B; b += gridDim.x) {
    for (int64_t layer = 0; layer < p.size.L; ++layer)
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
        my.h[layer * H + u] = load(p.h_0[(layer * B + b) * H + u]);
        my.c[layer * H + u] = load(p.c_0[(layer * B + b) * H + u]);
      }
    __syncthreads();
    for (int64_t t = 0; t < running_steps(p, b); ++t)
      for (int64_t layer = 0; layer < p.size.L; ++layer) {
        pre_activations(p, t, b, layer, my);
        __syncthreads();
        cells_forward<previous>(p, t, b, layer, my);
        __syncthreads();
      }
    finish_sequence(p, b, my);
  }
}

// ---- backward

// What the first kernel leaves to the second: of every cell the two things that are multiplied into the gradients
// of its weights. Steps past a sequence's length are neither written nor read.
template <class A>
struct Cells {
  A* dz;        // (L, T, B, 4H)
  A* x;         // (L, T, B, H)  inputs after dropout; the first layer's are the problem's
  A* h_before;  // (L, T, B, H)  h[t-1]

  RESBLOCK_INLINE static int64_t size(const Sizes& s) { return s.L * s.T * s.B * 6 * s.H; }

  RESBLOCK_INLINE Cells(A* workspace, const Sizes& s) {
    dz = workspace;
    x = dz + s.L * s.T * s.B * 4 * s.H;
    h_before = x + s.L * s.T * s.B * s.H;
  }
};

// What one block keeps of every layer: this step's gradient of y, and those of h[t-1] and c[t-1].
template <class A>
struct BackwardScratch {
  A *dy, *dh, *dc;  // (L, H)
  uint64_t seed;

  RESBLOCK_INLINE static int64_t size(const Sizes& s) { return 3 * s.L * s.H; }

  RESBLOCK_INLINE BackwardScratch(A* workspace, const Sizes& s, int64_t block, uint64_t seed) : seed(seed) {
    dy = workspace + Cells<A>::size(s) + block * size(s);
    dh = dy + s.L * s.H;
    dc = dh + s.L * s.H;
  }
};

// The gradients of one layer's pre-activations at one step, one unit per thread.
template <bool previous, class S>
__device__ void cells_backward(const Backward<S>& p, int64_t t, int64_t b, int64_t layer,
                               const Cells<Arithmetic<S>>& cells, const BackwardScratch<Arithmetic<S>>& my) {
  using A = Arithmetic<S>;
  const int64_t H = p.size.H, B = p.size.B, now = t * B + b, before = now - B, cell = layer * p.size.T * B + now;
  const SavedLayer<const A> saved = saved_layer(p.saved, p.size, layer);
  for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
    const A* gates = saved.gates + now * 4 * H + u;
    const Gates<A> gate = {gates[0], gates[H], gates[2 * H], gates[3 * H]};
    const int64_t initial = (layer * B + b) * H + u;
    const A c_before = t ? saved.c[before * H + u] : load(p.c_0[initial]);
    const A h_before = t ? saved.gates[before * 4 * H + 3 * H + u] * tanh(c_before) : load(p.h_0[initial]);
    const A dh = my.dy[layer * H + u] + my.dh[layer * H + u];
    const Gates<A> dz = cell_backward<previous, A>(gate, peephole(p, layer, u), c_before, saved.c[now * H + u], dh,
                                                   my.dc[layer * H + u]);
    A* to = cells.dz + cell * 4 * H + u;
    to[0] = dz.i;
    to[H] = dz.f;
    to[2 * H] = dz.g;
    to[3 * H] = dz.o;
    cells.h_before[cell * H + u] = h_before;
    if (layer)
      cells.x[cell * H + u] =
          saved_layer(p.saved, p.size, layer - 1).y[now * H + u] * dropout_factor(p, my.seed, layer, t, b, u);
  }
}

// (W^T dz)[column]
template <class S>
__device__ Arithmetic<S> transposed_dot(const S* w, int64_t columns, int64_t column, const Arithmetic<S>* dz,
                                        int64_t rows) {
  Arithmetic<S> sum = 0;
  for (int64_t row = 0; row < rows; ++row) sum += load(w[row * columns + column]) * dz[row];
  return sum;
}

// From the pre-activations back to h[t-1] and to what went into the layer, one column per thread.
template <class S>
__device__ void inputs_backward(const Backward<S>& p, int64_t t, int64_t b, int64_t layer,
                                const Cells<Arithmetic<S>>& cells, const BackwardScratch<Arithmetic<S>>& my) {
  using A = Arithmetic<S>;
  const Sizes& s = p.size;
  const int64_t H = s.H, I = s.I, now = t * s.B + b;
  const A* dz = cells.dz + (layer * s.T * s.B + now) * 4 * H;
  const S *W = input_weights(p.weights, s, layer), *U = p.weights.hh + layer * 4 * H * H;
  for (int64_t u = threadIdx.x; u < H; u += blockDim.x) my.dh[layer * H + u] = transposed_dot(U, H, u, dz, 4 * H);
  if (layer == 0) {
    for (int64_t k = threadIdx.x; k < I; k += blockDim.x)
      store(p.grad_input + now * I + k, transposed_dot(W, I, k, dz, 4 * H));
    return;
  }
  // y of the layer below also went past this layer into the addition of the next.
  const bool passed_on = layer + 1 < s.L && has_shortcut(p.options, layer + 1);
  for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
    const A dx = transposed_dot(W, H, u, dz, 4 * H) * dropout_factor(p, my.seed, layer, t, b, u);
    my.dy[(layer - 1) * H + u] = passed_on ? dx + my.dy[(layer + 1) * H + u] : dx;
  }
}

template <bool previous, class S>
__global__ void backward_kernel(Backward<S> p, const int64_t* seed_on_device, Arithmetic<S>* workspace) {
  using A = Arithmetic<S>;
  const int64_t H = p.size.H, B = p.size.B, L = p.size.L, I = p.size.I;
  const Cells<A> cells(workspace, p.size);
  const BackwardScratch<A> my(workspace, p.size, blockIdx.x,
                              seed_on_device ? uint64_t(*seed_on_device) : p.options.seed);
  for (int64_t b = blockIdx.x; b < B; b += gridDim.x) {
    // Until the end of the sequence a thread keeps to its own units, also where it reads what it has written.
    for (int64_t layer = 0; layer < L; ++layer)
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
        my.dh[layer * H + u] = load(p.grad_h_n[(layer * B + b) * H + u]);
        my.dc[layer * H + u] = load(p.grad_c_n[(layer * B + b) * H + u]);
      }
    for (int64_t t = running_steps(p, b); t < p.size.T; ++t)
      for (int64_t k = threadIdx.x; k < I; k += blockDim.x) store(p.grad_input + (t * B + b) * I + k, A(0));
    for (int64_t t = running_steps(p, b) - 1; t >= 0; --t) {
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x)
        my.dy[(L - 1) * H + u] = load(p.grad_output[(t * B + b) * H + u]);
      for (int64_t layer = L - 1; layer >= 0; --layer) {
        cells_backward<previous>(p, t, b, layer, cells, my);
        __syncthreads();  // the columns of the next product need every row of dz
        inputs_backward(p, t, b, layer, cells, my);
      }
    }
    for (int64_t layer = 0; layer < L; ++layer)
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
        store(p.grad_h_0 + (layer * B + b) * H + u, my.dh[layer * H + u]);
        store(p.grad_c_0 + (layer * B + b) * H + u, my.dc[layer * H + u]);
      }
  }
}

// Sums dz * source(t, b) over all steps of all sequences, in a fixed order. Double, because T * B may be millions.
template <class S, class Source>
__device__ Arithmetic<S> sum_over_steps(const Inputs<S>& p, const Arithmetic<S>* dz, Source source) {
  double sum = 0;
  for (int64_t b = 0; b < p.size.B; ++b)
    for (int64_t t = 0; t < running_steps(p, b); ++t)
      sum += double(dz[(t * p.size.B + b) * 4 * p.size.H]) * double(source(t, b));
  return Arithmetic<S>(sum);
}

// The gradients of the weights: one row of z per block, one weight per thread.
template <bool previous, class S>
__global__ void weights_kernel(Backward<S> p, Arithmetic<S>* workspace) {
  using A = Arithmetic<S>;
  const Sizes& s = p.size;
  const int64_t T = s.T, B = s.B, H = s.H, I = s.I;
  const Cells<A> cells(workspace, s);
  for (int64_t block = blockIdx.x; block < s.L * 4 * H; block += gridDim.x) {
    const int64_t layer = block / (4 * H), row = block % (4 * H), gate = row / H, u = row % H;
    const int64_t inputs = layer ? H : I;
    const A *dz = cells.dz + layer * T * B * 4 * H + row, *x = cells.x + layer * T * B * H;
    const A *h_before = cells.h_before + layer * T * B * H, *c = saved_layer(p.saved, s, layer).c;

    S* grad_W = input_weights(p.grad_weights, s, layer) + row * inputs;
    for (int64_t k = threadIdx.x; k < inputs; k += blockDim.x)
      store(grad_W + k, sum_over_steps(p, dz, [=](int64_t t, int64_t b) {
              return layer ? x[(t * B + b) * H + k] : load(p.input[(t * B + b) * I + k]);
            }));

    S* grad_U = p.grad_weights.hh + (layer * 4 * H + row) * H;
    for (int64_t k = threadIdx.x; k < H; k += blockDim.x)
      store(grad_U + k, sum_over_steps(p, dz, [=](int64_t t, int64_t b) { return h_before[(t * B + b) * H + k]; }));

    if (threadIdx.x) continue;
    store(p.grad_weights.bias + layer * 4 * H + row, sum_over_steps(p, dz, [](int64_t, int64_t) { return A(1); }));
    if (gate == 2) continue;  // g has no peephole
    const bool current = gate == 3 && !previous;
    S* grad_peephole = p.grad_weights.peephole + (layer * 3 + (gate == 3 ? 2 : gate)) * H + u;
    store(grad_peephole, sum_over_steps(p, dz, [=](int64_t t, int64_t b) {
            if (current) return c[(t * B + b) * H + u];
            return t ? c[((t - 1) * B + b) * H + u] : load(p.c_0[(layer * B + b) * H + u]);
          }));
  }
}

// ---- host

int64_t blocks_for(int64_t tasks) { return std::min(tasks, most_blocks); }

Shape shape(int64_t tasks, int64_t width) {
  return {blocks_for(tasks), int((std::min(width, most_threads) + warp_lanes - 1) / warp_lanes), 0};
}

}  // namespace

template <class S>
size_t GeneralForward<S>::workspace(const Forward<S>& p) {
  using A = Arithmetic<S>;
  return size_t(blocks_for(p.size.B) * ForwardScratch<A>::size(p.size)) * sizeof(A);
}

template <class S>
size_t GeneralBackward<S>::workspace(const Backward<S>& p) {
  using A = Arithmetic<S>;
  return size_t(Cells<A>::size(p.size) + blocks_for(p.size.B) * BackwardScratch<A>::size(p.size)) * sizeof(A);
}

template <class S>
const char* GeneralForward<S>::launch(const Forward<S>& p, const Context& context, void* workspace) {
  if (p.size.B == 0) return nullptr;
  const auto kernel = p.options.output_peephole_previous ? forward_kernel<true, S> : forward_kernel<false, S>;
  return launch_kernel(context, shape(p.size.B, 4 * p.size.H), kernel, p, context.seed,
                       static_cast<Arithmetic<S>*>(workspace));
}

template <class S>
const char* GeneralBackward<S>::launch(const Backward<S>& p, const Context& context, void* workspace) {
  const Sizes& s = p.size;
  const bool previous = p.options.output_peephole_previous;
  auto* scratch = static_cast<Arithmetic<S>*>(workspace);
  const int64_t width = std::max(s.H, s.I);
  const auto cells = previous ? backward_kernel<true, S> : backward_kernel<false, S>;
  if (s.B > 0)
    if (const char* error = launch_kernel(context, shape(s.B, width), cells, p, context.seed, scratch)) return error;
  const auto weights = previous ? weights_kernel<true, S> : weights_kernel<false, S>;
  return launch_kernel(context, shape(s.L * 4 * s.H, width), weights, p, scratch);
}

#define RESBLOCK_INSTANTIATE(S)      \
  template struct GeneralForward<S>; \
  template struct GeneralBackward<S>;
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
