// Wide schedule, backward: the gradients of all pre-activations of a layer in one kernel, or step by step, and by the
// library what follows from them for the weights and for the layer below.
#include "core/cell.h"
#include "core/cuda/wide_rows.h"
#include "core/cuda/wide_tensor.h"

namespace resblock::cuda {
namespace {

constexpr int partial_sums = 5;  // four sequences, and one that keeps threads off each other's banks

// A matrix that meets a product is of the storage type.
template <class S, class A = Arithmetic<S>>
struct Workspace {
  S* x;          // (T B, inputs)
  S* dx;         // (T B, H)
  S* dz;         // (T B, 4H)
  S* h_before;   // (T B, H)
  A* dy[2];      // (T B, H)  gradient of y of the layer at hand and of the one above; which is which changes
  S* exchange;   // (2, 4, H, 4 quads)  dz of this step and of the next; on tensor cores (2, an Exchange of four gates)
  A* dc;         // (H, 4 quads); on tensor cores and step by step (B, H)
  S* dh;         // (B, H)  U^T dz of the step after, step by step
  int* flags;    // (blocks,)
  int* cleared;  // what has to be zero at the start: flags, and exchange, of which tiles may be filled in part
  int64_t cleared_count;

  static size_t layout(const Sizes& s, const WideCut& cut, void* memory, Workspace* to) {
    const int64_t rows = s.T * s.B, states = s.H * sequence_quads(s) * 4;
    const int64_t exchanged = 2 * (on_tensor_cores<S> ? Exchange(s).numbers(4) : 4 * states);
    WideArrays arrays = {static_cast<char*>(memory)};
    Workspace w;
    w.x = arrays.take<S>(rows * std::max(s.I, s.H));
    w.dx = arrays.take<S>(rows * s.H);
    w.dz = arrays.take<S>(rows * 4 * s.H);
    w.h_before = arrays.take<S>(rows * s.H);
    w.dy[0] = arrays.take<A>(rows * s.H);
    w.dy[1] = arrays.take<A>(rows * s.H);
    w.dc = arrays.take<A>(states);
    w.dh = arrays.take<S>(cut.blocks() ? 0 : s.B * s.H);
    const size_t cleared = arrays.used;
    w.exchange = arrays.take<S>(cut.blocks() ? exchanged : 0);
    w.flags = arrays.take<int>(cut.blocks());
    w.cleared = reinterpret_cast<int*>(w.exchange);
    w.cleared_count = int64_t((arrays.used - cleared) / sizeof(int));
    if (to) *to = w;
    return arrays.used;
  }
};

// Gradients of one cell's pre-activations; dh, that of h[t], has come from the steps after.
template <bool previous, class S, class A = Arithmetic<S>>
__device__ Gates<A> cell_gradients(const Backward<S>& p, int64_t layer, int64_t t, int64_t b, int64_t u, A dh, A& dc,
                                   A& h_before) {
  const int64_t H = p.size.H, B = p.size.B, now = t * B + b, before = now - B, initial = (layer * B + b) * H + u;
  const SavedLayer<const A> saved = saved_layer(p.saved, p.size, layer);
  const S* peephole = p.weights.peephole + layer * 3 * H + u;
  const A* gates = saved.gates + now * 4 * H + u;
  const A c_before = t ? saved.c[before * H + u] : A(load(p.c_0[initial]));
  h_before = t ? saved.gates[before * 4 * H + 3 * H + u] * tanh(c_before) : A(load(p.h_0[initial]));
  return cell_backward<previous, A>({gates[0], gates[H], gates[2 * H], gates[3 * H]},
                                    {load(peephole[0]), load(peephole[H]), load(peephole[2 * H])}, c_before,
                                    saved.c[now * H + u], dh, dc);
}

// One cell, to which the steps after have given dh, that of h[t], and dc; at t = -1 the initial state. What the
// products read goes to dz and h_before, zero where the sequence does not run.
template <bool previous, class S, class A = Arithmetic<S>>
__device__ Gates<A> run_cell(const Backward<S>& p, const Workspace<S>& w, const A* dy, int64_t layer, int64_t t,
                             int64_t b, int64_t u, A dh, A& dc) {
  const int64_t H = p.size.H, row = t * p.size.B + b, steps = running_steps(p, b);
  const int64_t state = (layer * p.size.B + b) * H + u;
  Gates<A> d = {0, 0, 0, 0};
  if (t + 1 >= steps) dh = load(p.grad_h_n[state]);  // no step has come from the other side yet
  if (t < 0) {
    store(p.grad_h_0 + state, dh);
    store(p.grad_c_0 + state, dc);
    return d;
  }
  A h_before = 0;
  if (t < steps) d = cell_gradients<previous, S>(p, layer, t, b, u, dy[row * H + u] + dh, dc, h_before);
  store(w.h_before + row * H + u, h_before);
  S* dz = w.dz + row * 4 * H + u;
  store(dz, d.i);
  store(dz + H, d.f);
  store(dz + 2 * H, d.g);
  store(dz + 3 * H, d.o);
  return d;
}

// All steps of one layer, from the last. A task is a unit of the block and four sequences; wide_parts threads share its
// sums. Turn n is step T - 1 - n; one turn more gives the gradient of the initial state.
template <bool previous, class S, class A = Arithmetic<S>>
__global__ void __launch_bounds__(wide_threads, 2)
    cells_kernel(Backward<S> p, Workspace<S> w, const A* dy, int64_t layer, WideCut cut) {
  const Sizes& s = p.size;
  const int64_t H = s.H, units = cut.units, quads = sequence_quads(s), lanes = 4 * quads;
  const int64_t first = blockIdx.x * units, count = H - first < units ? H - first : units;
  auto* U =
      reinterpret_cast<Quad<A>*>(shared_memory());  // (H, units): with which the gates of all units meet h of ours
  A* partial = reinterpret_cast<A*>(U + H * units);
  const int start = int((s.L - 1 - layer) * (s.T + 1)) + 1, me = threadIdx.x;

  for (int64_t e = me; e < 4 * count * H; e += wide_threads) {
    const int64_t i = e % count, gate = e / count % 4, k = e / count / 4;
    U[k * units + i].of[gate] = load(p.weights.hh[((layer * 4 + gate) * H + k) * H + first + i]);
  }
  for (int64_t e = me; e < count * s.B; e += wide_threads) {
    const int64_t u = first + e / s.B, b = e % s.B;
    w.dc[u * lanes + b] = load(p.grad_c_n[(layer * s.B + b) * H + u]);
  }
  __syncthreads();
  for (int64_t turn = 0; turn <= s.T; ++turn) {
    const int64_t t = s.T - 1 - turn;
    const A* later = w.exchange + ((turn + 1) & 1) * 4 * H * lanes;
    A* now = w.exchange + (turn & 1) * 4 * H * lanes;
    if (turn > 0) wait_for_all(w.flags, cut.unit_blocks, start + int(turn) - 1);
    for (int64_t from = 0; from < count * quads; from += wide_threads / wide_parts) {
      const int64_t task = from + me / wide_parts;
      Quad<A> sum = {};
      if (turn > 0 && task < count * quads) {
        const Quad<A>*weights = U + task / quads, *dz = reinterpret_cast<const Quad<A>*>(later) + task % quads;
        for (int64_t k = me % wide_parts; k < H; k += wide_parts) {
          const Quad<A> weight = weights[k * units];
          RESBLOCK_UNROLL
          for (int gate = 0; gate < 4; ++gate) {
            const Quad<A> d = dz[(gate * H + k) * quads];
            RESBLOCK_UNROLL
            for (int b = 0; b < 4; ++b) sum.of[b] += weight.of[gate] * d.of[b];
          }
        }
      }
      RESBLOCK_UNROLL
      for (int b = 0; b < 4; ++b) partial[me * partial_sums + b] = sum.of[b];
      __syncthreads();
      const int64_t mine = from + me / 4, b = mine % quads * 4 + me % 4, u = first + mine / quads;
      if (me < wide_threads / wide_parts * 4 && mine < count * quads && b < s.B) {
        A dh = 0;
        for (int part = 0; part < wide_parts; ++part)
          dh += partial[(me / 4 * wide_parts + part) * partial_sums + me % 4];
        const Gates<A> d = run_cell<previous, S>(p, w, dy, layer, t, b, u, dh, w.dc[u * lanes + b]);
        const A of[4] = {d.i, d.f, d.g, d.o};
        RESBLOCK_UNROLL
        for (int gate = 0; gate < 4; ++gate) now[(gate * H + u) * lanes + b] = of[gate];
      }
      __syncthreads();
    }
    if (t >= 0) tell_all(w.flags + blockIdx.x, start + int(turn));
  }
}

// The same on tensor cores, to which dz goes from step to step in tiles.
template <bool previous, class S>
__global__ void __launch_bounds__(wide_threads, 2)
    tensor_cells_kernel(Backward<S> p, Workspace<S> w, const float* dy, int64_t layer, WideCut cut) {
  const Sizes& s = p.size;
  const int64_t H = s.H, B = s.B, plane = Exchange(s).numbers(4);
  const TensorBlock block(s, cut, w.flags);
  S* U = reinterpret_cast<S*>(shared_memory());
  auto* partial = reinterpret_cast<CellSums<1>*>(U + tensor_weights(s, cut.units));
  const int start = int((s.L - 1 - layer) * (s.T + 1)) + 1;

  block.load_weights(p.weights.hh + layer * 4 * H * H, H, 1, U);
  block.for_each_cell([&](const TensorCell& cell) {
    if (cell.exists) w.dc[cell.b * H + cell.u] = load(p.grad_c_n[(layer * B + cell.b) * H + cell.u]);
  });
  __syncthreads();
  for (int64_t turn = 0; turn <= s.T; ++turn) {
    const int64_t t = s.T - 1 - turn;
    const S* later = w.exchange + ((turn + 1) & 1) * plane;
    S* now = w.exchange + (turn & 1) * plane;
    if (turn > 0) block.wait(start + int(turn) - 1);
    block.for_each_cell([&](const TensorCell& cell) {
      CellSums<1> dh = {};
      if (turn > 0) dh = block.multiply(cell, later, U, partial);
      if (!cell.exists) return;
      const Gates<float> d =
          run_cell<previous, S>(p, w, dy, layer, t, cell.b, cell.u, dh.of[0], w.dc[cell.b * H + cell.u]);
      if (t < 0) return;
      const float of[4] = {d.i, d.f, d.g, d.o};
      RESBLOCK_UNROLL
      for (int gate = 0; gate < 4; ++gate) store(now + block.exchange.place(4, gate, cell.u, cell.b), of[gate]);
    });
    if (t >= 0) block.tell(start + int(turn));
  }
}

template <class S>
auto cells(const Options& o) {
  if constexpr (on_tensor_cores<S>)
    return o.output_peephole_previous ? tensor_cells_kernel<true, S> : tensor_cells_kernel<false, S>;
  else
    return o.output_peephole_previous ? cells_kernel<true, S> : cells_kernel<false, S>;
}

template <bool previous, class S, class A = Arithmetic<S>>
__global__ void step_kernel(Backward<S> p, Workspace<S> w, const A* dy, int64_t layer, int64_t t) {
  const int64_t H = p.size.H;
  RESBLOCK_EACH_ELEMENT(e, p.size.B * H)
  run_cell<previous, S>(p, w, dy, layer, t, e / H, e % H, load(w.dh[e]), w.dc[e]);
}

// All steps of one layer, one after the other.
template <class S, class A = Arithmetic<S>>
const char* run_steps(const Backward<S>& p, const Context& context, const Workspace<S>& w, int64_t layer) {
  const Sizes& s = p.size;
  const int64_t states = s.B * s.H;
  const Shape shape = elements_shape(states);
  const auto step = p.options.output_peephole_previous ? step_kernel<true, S> : step_kernel<false, S>;
  const S* U = p.weights.hh + layer * 4 * s.H * s.H;
  const A* dy = w.dy[layer & 1];
  if (const char* error =
          launch_kernel(context, shape, convert_kernel<A, S>, p.grad_c_n + layer * states, w.dc, states))
    return error;
  for (int64_t t = s.T - 1; t >= -1; --t) {
    const S* dz_after = w.dz + (t + 1) * s.B * 4 * s.H;
    if (t + 1 < s.T)
      if (const char* error =
              context.matrices.multiply(MatrixProduct<S>{w.dh, dz_after, U, s.B, s.H, 4 * s.H, false, false}))
        return error;
    if (const char* error = launch_kernel(context, shape, step, p, w, dy, layer, t)) return error;
  }
  return nullptr;
}

// The gradients of bias and peepholes: a block per row of z sums over all steps of all sequences, in a fixed order.
template <bool previous, class S, class A = Arithmetic<S>>
__global__ void unit_gradients_kernel(Backward<S> p, const S* dz, int64_t layer) {
  const Sizes& s = p.size;
  const int64_t H = s.H, B = s.B, gate = blockIdx.x / H, u = blockIdx.x % H;
  const A* c = saved_layer(p.saved, s, layer).c + u;
  auto* sums = reinterpret_cast<double*>(shared_memory());  // (2, threads)
  double bias = 0, peephole = 0;
  for (int64_t row = threadIdx.x; row < s.T * B; row += wide_threads) {
    const int64_t t = row / B, b = row % B;
    if (t >= running_steps(p, b)) continue;
    const double d = load(dz[row * 4 * H + blockIdx.x]);
    bias += d;
    const bool current = gate == 3 && !previous;
    const A seen = current ? c[row * H] : t ? c[(row - B) * H] : A(load(p.c_0[(layer * B + b) * H + u]));
    peephole += d * seen;
  }
  sums[threadIdx.x] = bias;
  sums[wide_threads + threadIdx.x] = peephole;
  for (int half = wide_threads / 2; half; half /= 2) {
    __syncthreads();
    if (int(threadIdx.x) >= half) continue;
    sums[threadIdx.x] += sums[threadIdx.x + half];
    sums[wide_threads + threadIdx.x] += sums[wide_threads + threadIdx.x + half];
  }
  if (threadIdx.x) return;
  store(p.grad_weights.bias + layer * 4 * H + blockIdx.x, A(sums[0]));
  if (gate == 2) return;  // g has no peephole
  store(p.grad_weights.peephole + (layer * 3 + (gate == 3 ? 2 : gate)) * H + u, A(sums[wide_threads]));
}

// dz^T rows, the gradient of a weight.
template <class S>
const char* multiply_weights(const Sizes& s, const Context& context, const Workspace<S>& w, const S* rows,
                             int64_t columns, S* to) {
  return context.matrices.multiply(MatrixProduct<S>{to, w.dz, rows, 4 * s.H, columns, s.T * s.B, true, false});
}

template <class S, class A = Arithmetic<S>>
const char* layer_backward(const Backward<S>& p, const Context& context, const Workspace<S>& w, const WideCut& cut,
                           int64_t layer) {
  const Sizes& s = p.size;
  const int64_t rows = s.T * s.B, inputs = layer ? s.H : s.I;
  const A* dy = w.dy[layer & 1];
  if (const char* error = cut.blocks() ? launch_kernel(context, {cut.blocks(), wide_warps, cut.shared_floats, true},
                                                       cells<S>(p.options), p, w, dy, layer, cut)
                                       : run_steps(p, context, w, layer))
    return error;
  const auto unit_gradients =
      p.options.output_peephole_previous ? unit_gradients_kernel<true, S> : unit_gradients_kernel<false, S>;
  const Shape shape = {4 * s.H, wide_warps, 2 * wide_threads * int(sizeof(double) / sizeof(float))};
  if (const char* error = launch_kernel(context, shape, unit_gradients, p, w.dz, layer)) return error;
  if (const char* error = layer ? launch_kernel(context, elements_shape(rows * inputs), dropped_rows_kernel<S>, p,
                                                context.seed, layer, saved_layer(p.saved, s, layer - 1).y, w.x)
                                : launch_kernel(context, elements_shape(rows * inputs), valid_rows_kernel<S, S>, p,
                                                p.input, inputs, w.x, w.cleared, int64_t(0)))
    return error;
  if (const char* error = multiply_weights(s, context, w, w.x, inputs, input_weights(p.grad_weights, s, layer)))
    return error;
  if (const char* error = multiply_weights(s, context, w, w.h_before, s.H, p.grad_weights.hh + layer * 4 * s.H * s.H))
    return error;
  const S* W = input_weights(p.weights, s, layer);
  S* dx = layer ? w.dx : p.grad_input;
  if (const char* error = context.matrices.multiply(MatrixProduct<S>{dx, w.dz, W, rows, inputs, 4 * s.H, false, false}))
    return error;
  if (layer == 0) return nullptr;
  const bool passed_on = layer + 1 < s.L && has_shortcut(p.options, layer + 1);
  return launch_kernel(context, elements_shape(rows * s.H), gradient_below_kernel<S>, p, context.seed, layer, passed_on,
                       dx, w.dy[(layer + 1) & 1]);
}

}  // namespace

template <class S>
WideCut WideBackward<S>::cut(const Backward<S>& p) {
  const auto* kernel = reinterpret_cast<const void*>(cells<S>(p.options));
  if constexpr (on_tensor_cores<S>)
    return cut_tensor(p.size, kernel, 1);
  else
    return cut_wide<S>(p.size, kernel, partial_sums);
}

template <class S>
size_t WideBackward<S>::workspace(const Backward<S>& p) {
  return Workspace<S>::layout(p.size, cut(p), nullptr, nullptr);
}

template <class S>
const char* WideBackward<S>::launch(const Backward<S>& p, const Context& context, void* workspace) {
  const Sizes& s = p.size;
  const WideCut c = cut(p);
  Workspace<S> w;
  w.layout(s, c, workspace, &w);
  const int64_t outputs = s.T * s.B * s.H;
  if (const char* error = launch_kernel(context, elements_shape(outputs), valid_rows_kernel<S, Arithmetic<S>>, p,
                                        p.grad_output, s.H, w.dy[(s.L - 1) & 1], w.cleared, w.cleared_count))
    return error;
  for (int64_t layer = s.L - 1; layer >= 0; --layer)
    if (const char* error = layer_backward(p, context, w, c, layer)) return error;
  return nullptr;
}

#define RESBLOCK_INSTANTIATE(S) template struct WideBackward<S>;
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
