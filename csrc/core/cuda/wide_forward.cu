// Wide schedule, forward: z = x W^T of all steps by the library, then the cells of all steps in one kernel, or step by
// step.
#include "core/cell.h"
#include "core/cuda/wide_rows.h"
#include "core/cuda/wide_tensor.h"

namespace resblock::cuda {
namespace {

constexpr int partial_sums = 17;  // four gates of four sequences, and one that keeps threads off each other's banks

// A matrix that meets a product is of the storage type.
template <class S, class A = Arithmetic<S>>
struct Workspace {
  S* x;          // (T B, inputs)
  S* z;          // (T B, 4H)
  A* y[2];       // (T B, H)  of the layer at hand and the one below; which is which changes from layer to layer
  S* h;          // (2, H, 4 quads)  h[t-1] and h[t]; on tensor cores (2, an Exchange); step by step (B, H)
  A* c;          // (H, 4 quads); on tensor cores and step by step (B, H)
  S* z_h;        // (B, 4H)  U h[t-1], step by step
  int* flags;    // (blocks,)
  int* cleared;  // what has to be zero at the start: flags, and h, of which tiles may be filled in part
  int64_t cleared_count;

  static size_t layout(const Sizes& s, const WideCut& cut, void* memory, Workspace* to) {
    const int64_t rows = s.T * s.B, states = s.H * sequence_quads(s) * 4;
    const int64_t h = 2 * (on_tensor_cores<S> ? Exchange(s).numbers(1) : states);
    WideArrays arrays = {static_cast<char*>(memory)};
    Workspace w;
    w.x = arrays.take<S>(rows * std::max(s.I, s.H));
    w.z = arrays.take<S>(rows * 4 * s.H);
    w.z_h = arrays.take<S>(cut.blocks() ? 0 : s.B * 4 * s.H);
    w.y[0] = arrays.take<A>(rows * s.H);
    w.y[1] = arrays.take<A>(rows * s.H);
    w.c = arrays.take<A>(states);
    const size_t cleared = arrays.used;
    w.h = arrays.take<S>(h);
    w.flags = arrays.take<int>(cut.blocks());
    w.cleared = reinterpret_cast<int*>(w.h);
    w.cleared_count = int64_t((arrays.used - cleared) / sizeof(int));
    if (to) *to = w;
    return arrays.used;
  }
};

// One cell of the layer, whose pre-activation is complete but for bias and peepholes.
template <bool previous, class S, class A = Arithmetic<S>>
__device__ void run_cell(const Forward<S>& p, int64_t layer, int64_t t, int64_t b, int64_t u, Gates<A> gate, A* y,
                         A h_before, A& h, A& c) {
  const int64_t H = p.size.H, row = t * p.size.B + b;
  const S *bias = p.weights.bias + layer * 4 * H + u, *peephole = p.weights.peephole + layer * 3 * H + u;
  gate = {gate.i + load(bias[0]), gate.f + load(bias[H]), gate.g + load(bias[2 * H]), gate.o + load(bias[3 * H])};
  const bool active = t < running_steps(p, b);
  const CellState<A> now =
      cell_forward<previous, A>(gate, {load(peephole[0]), load(peephole[H]), load(peephole[2 * H])}, c);
  h = active ? now.h : h_before;
  A& out = y[row * H + u];  // holds y of two layers below
  out = !active ? A(0) : has_shortcut(p.options, layer) ? now.h + out : now.h;
  if (layer + 1 == p.size.L) store(p.output + row * H + u, out);
  if (!active) return;
  c = now.c;
  if (!p.saved) return;
  const SavedLayer<A> saved = saved_layer(p.saved, p.size, layer);
  A* gates = saved.gates + row * 4 * H + u;
  gates[0] = gate.i;
  gates[H] = gate.f;
  gates[2 * H] = gate.g;
  gates[3 * H] = gate.o;
  saved.c[row * H + u] = now.c;
  saved.y[row * H + u] = out;
}

// Of (rows, 4H).
template <class S, class A = Arithmetic<S>>
__device__ Gates<A> gates_of(const S* z, int64_t row, int64_t H, int64_t u) {
  z += row * 4 * H + u;
  return {load(z[0]), load(z[H]), load(z[2 * H]), load(z[3 * H])};
}

// All steps of one layer. A task is a unit of the block and four sequences; wide_parts threads share its sums.
template <bool previous, class S, class A = Arithmetic<S>>
__global__ void __launch_bounds__(wide_threads, 2)
    cells_kernel(Forward<S> p, Workspace<S> w, A* y, int64_t layer, WideCut cut) {
  const Sizes& s = p.size;
  const int64_t H = s.H, units = cut.units, quads = sequence_quads(s), lanes = 4 * quads;
  const int64_t first = blockIdx.x * units, count = H - first < units ? H - first : units;
  auto* U = reinterpret_cast<Quad<A>*>(shared_memory());  // (H, units) of four gates
  A* partial = reinterpret_cast<A*>(U + H * units);
  const int start = int(layer * (s.T + 1)) + 1, me = threadIdx.x;

  for (int64_t e = me; e < 4 * count * H; e += wide_threads) {
    const int64_t k = e % H, gate = e / H % 4, i = e / H / 4;
    U[k * units + i].of[gate] = load(p.weights.hh[((layer * 4 + gate) * H + first + i) * H + k]);
  }
  for (int64_t e = me; e < count * s.B; e += wide_threads) {
    const int64_t u = first + e / s.B, b = e % s.B;
    w.h[u * lanes + b] = load(p.h_0[(layer * s.B + b) * H + u]);
    w.c[u * lanes + b] = load(p.c_0[(layer * s.B + b) * H + u]);
  }
  tell_all(w.flags + blockIdx.x, start);
  for (int64_t t = 0; t < s.T; ++t) {
    const A* before = w.h + (t & 1) * H * lanes;
    A* after = w.h + ((t + 1) & 1) * H * lanes;
    wait_for_all(w.flags, cut.unit_blocks, start + int(t));
    for (int64_t from = 0; from < count * quads; from += wide_threads / wide_parts) {
      const int64_t task = from + me / wide_parts;
      Quad<A> sum[4] = {};
      if (task < count * quads) {
        const Quad<A>*weights = U + task / quads, *states = reinterpret_cast<const Quad<A>*>(before) + task % quads;
        for (int64_t k = me % wide_parts; k < H; k += wide_parts) {
          const Quad<A> weight = weights[k * units], h = states[k * quads];
          RESBLOCK_UNROLL
          for (int gate = 0; gate < 4; ++gate) {
            RESBLOCK_UNROLL
            for (int b = 0; b < 4; ++b) sum[gate].of[b] += weight.of[gate] * h.of[b];
          }
        }
      }
      RESBLOCK_UNROLL
      for (int n = 0; n < 16; ++n) partial[me * partial_sums + n] = sum[n / 4].of[n % 4];
      __syncthreads();
      const int64_t mine = from + me / 4, b = mine % quads * 4 + me % 4, u = first + mine / quads;
      if (me < wide_threads / wide_parts * 4 && mine < count * quads && b < s.B) {
        Gates<A> gate = gates_of(w.z, t * s.B + b, H, u);
        for (int part = 0; part < wide_parts; ++part) {
          const A* sums = partial + (me / 4 * wide_parts + part) * partial_sums + me % 4;
          gate = {gate.i + sums[0], gate.f + sums[4], gate.g + sums[8], gate.o + sums[12]};
        }
        run_cell<previous, S>(p, layer, t, b, u, gate, y, before[u * lanes + b], after[u * lanes + b],
                              w.c[u * lanes + b]);
      }
      __syncthreads();
    }
    tell_all(w.flags + blockIdx.x, start + int(t) + 1);
  }
  const A* last = w.h + (s.T & 1) * H * lanes;
  for (int64_t e = me; e < count * s.B; e += wide_threads) {
    const int64_t u = first + e / s.B, b = e % s.B;
    store(p.h_n + (layer * s.B + b) * H + u, last[u * lanes + b]);
    store(p.c_n + (layer * s.B + b) * H + u, w.c[u * lanes + b]);
  }
}

// The same on tensor cores, to which h goes from step to step in tiles.
template <bool previous, class S>
__global__ void __launch_bounds__(wide_threads, 2)
    tensor_cells_kernel(Forward<S> p, Workspace<S> w, float* y, int64_t layer, WideCut cut) {
  const Sizes& s = p.size;
  const int64_t H = s.H, B = s.B, plane = Exchange(s).numbers(1);
  const TensorBlock block(s, cut, w.flags);
  S* U = reinterpret_cast<S*>(shared_memory());
  auto* partial = reinterpret_cast<CellSums<4>*>(U + tensor_weights(s, cut.units));
  const int start = int(layer * (s.T + 1)) + 1;

  block.load_weights(p.weights.hh + layer * 4 * H * H, 1, H, U);
  block.for_each_cell([&](const TensorCell& cell) {
    if (!cell.exists) return;
    const int64_t state = (layer * B + cell.b) * H + cell.u;
    w.h[block.exchange.place(1, 0, cell.u, cell.b)] = p.h_0[state];
    w.c[cell.b * H + cell.u] = load(p.c_0[state]);
  });
  block.tell(start);
  for (int64_t t = 0; t < s.T; ++t) {
    const S* before = w.h + (t & 1) * plane;
    S* after = w.h + ((t + 1) & 1) * plane;
    block.wait(start + int(t));
    block.for_each_cell([&](const TensorCell& cell) {
      Gates<float> gate = {0, 0, 0, 0};
      if (cell.exists) gate = gates_of(w.z, t * B + cell.b, H, cell.u);
      const CellSums<4> sum = block.multiply(cell, before, U, partial);
      if (!cell.exists) return;
      gate = {gate.i + sum.of[0], gate.f + sum.of[1], gate.g + sum.of[2], gate.o + sum.of[3]};
      const int64_t place = block.exchange.place(1, 0, cell.u, cell.b);
      float h;
      run_cell<previous, S>(p, layer, t, cell.b, cell.u, gate, y, load(before[place]), h, w.c[cell.b * H + cell.u]);
      store(after + place, h);
    });
    block.tell(start + int(t) + 1);
  }
  block.for_each_cell([&](const TensorCell& cell) {
    if (!cell.exists) return;
    const int64_t state = (layer * B + cell.b) * H + cell.u;
    p.h_n[state] = w.h[(s.T & 1) * plane + block.exchange.place(1, 0, cell.u, cell.b)];
    store(p.c_n + state, w.c[cell.b * H + cell.u]);
  });
}

template <class S>
auto cells(const Options& o) {
  if constexpr (on_tensor_cores<S>)
    return o.output_peephole_previous ? tensor_cells_kernel<true, S> : tensor_cells_kernel<false, S>;
  else
    return o.output_peephole_previous ? cells_kernel<true, S> : cells_kernel<false, S>;
}

// One step, whose z is that of the inputs and z_h.
template <bool previous, class S, class A = Arithmetic<S>>
__global__ void step_kernel(Forward<S> p, Workspace<S> w, A* y, int64_t layer, int64_t t) {
  const int64_t H = p.size.H, B = p.size.B;
  RESBLOCK_EACH_ELEMENT(e, B * H) {
    const int64_t b = e / H, u = e % H;
    const Gates<A> x = gates_of(w.z, t * B + b, H, u), h = gates_of(w.z_h, b, H, u);
    A after;
    run_cell<previous, S>(p, layer, t, b, u, {x.i + h.i, x.f + h.f, x.g + h.g, x.o + h.o}, y, load(w.h[e]), after,
                          w.c[e]);
    store(w.h + e, after);
  }
}

// All steps of one layer, one after the other.
template <class S, class A = Arithmetic<S>>
const char* run_steps(const Forward<S>& p, const Context& context, const Workspace<S>& w, A* y, int64_t layer) {
  const Sizes& s = p.size;
  const int64_t states = s.B * s.H, first = layer * states;
  const Shape shape = elements_shape(states);
  const auto step = p.options.output_peephole_previous ? step_kernel<true, S> : step_kernel<false, S>;
  const S* U = p.weights.hh + layer * 4 * s.H * s.H;
  if (const char* error = launch_kernel(context, shape, convert_kernel<S, S>, p.h_0 + first, w.h, states)) return error;
  if (const char* error = launch_kernel(context, shape, convert_kernel<A, S>, p.c_0 + first, w.c, states)) return error;
  for (int64_t t = 0; t < s.T; ++t) {
    if (const char* error = context.matrices.multiply(MatrixProduct<S>{w.z_h, w.h, U, s.B, 4 * s.H, s.H, false, true}))
      return error;
    if (const char* error = launch_kernel(context, shape, step, p, w, y, layer, t)) return error;
  }
  if (const char* error = launch_kernel(context, shape, convert_kernel<S, S>, w.h, p.h_n + first, states)) return error;
  return launch_kernel(context, shape, convert_kernel<S, A>, w.c, p.c_n + first, states);
}

// x W^T of one layer, into z.
template <class S>
const char* project(const Forward<S>& p, const Context& context, const Workspace<S>& w, int64_t layer) {
  const Sizes& s = p.size;
  const int64_t rows = s.T * s.B, inputs = layer ? s.H : s.I;
  const Shape shape = elements_shape(rows * inputs);
  if (const char* error = layer ? launch_kernel(context, shape, dropped_rows_kernel<S>, p, context.seed, layer,
                                                w.y[(layer - 1) & 1], w.x)
                                : launch_kernel(context, shape, valid_rows_kernel<S, S>, p, p.input, inputs, w.x,
                                                w.cleared, w.cleared_count))
    return error;
  return context.matrices.multiply(
      MatrixProduct<S>{w.z, w.x, input_weights(p.weights, s, layer), rows, 4 * s.H, inputs, false, true});
}

}  // namespace

template <class S>
WideCut WideForward<S>::cut(const Forward<S>& p) {
  const auto* kernel = reinterpret_cast<const void*>(cells<S>(p.options));
  if constexpr (on_tensor_cores<S>)
    return cut_tensor(p.size, kernel, 4);
  else
    return cut_wide<S>(p.size, kernel, partial_sums);
}

template <class S>
size_t WideForward<S>::workspace(const Forward<S>& p) {
  return Workspace<S>::layout(p.size, cut(p), nullptr, nullptr);
}

template <class S>
const char* WideForward<S>::launch(const Forward<S>& p, const Context& context, void* workspace) {
  using A = Arithmetic<S>;
  const WideCut c = cut(p);
  Workspace<S> w;
  w.layout(p.size, c, workspace, &w);
  for (int64_t layer = 0; layer < p.size.L; ++layer) {
    A* y = w.y[layer & 1];
    if (const char* error = project(p, context, w, layer)) return error;
    if (const char* error = c.blocks() ? launch_kernel(context, {c.blocks(), wide_warps, c.shared_floats, true},
                                                       cells<S>(p.options), p, w, y, layer, c)
                                       : run_steps(p, context, w, y, layer))
      return error;
  }
  return nullptr;
}

#define RESBLOCK_INSTANTIATE(S) template struct WideForward<S>;
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
