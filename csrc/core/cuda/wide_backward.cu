// Wide schedule, backward: the gradients of all pre-activations of a layer in one kernel, or step by step, and by the
// library what follows from them for the weights and for the layer below.
#include "core/cuda/schedules.h"
#include "core/cuda/wide_rows.h"
#include "core/cuda/wide_tensor.h"

namespace resblock::cuda {
namespace {

constexpr int partial_stride = WideShared<float, backward_sums>::stride;

// Gradients of one cell's pre-activations; dh, that of h[t], has come from the steps after.
template <class S, class A = Arithmetic<S>>
__device__ Gates<A> cell_gradients(const Backward<S>& p, int64_t layer, int64_t t, int64_t b, int64_t u, A dh, A& dc,
                                   A& h_before) {
  const int64_t H = p.size.H, B = p.size.B, now = t * B + b, before = now - B, initial = (layer * B + b) * H + u;
  const SavedLayer<const A> saved = saved_layer(p.saved, p.size, layer);
  const S* peephole = p.weights.peephole + layer * peepholes_of_cell * H + u;
  const A* gates = saved.gates + now * gates_of_cell * H + u;
  const bool reset = is_reset(p, t, b);
  A c_before = 0;
  h_before = 0;
  if (!reset) {
    c_before = t ? saved.c[before * H + u] : A(load(p.c_0[initial]));
    h_before =
        t ? saved.gates[before * gates_of_cell * H + saved_gate_o * H + u] * tanh(c_before) : A(load(p.h_0[initial]));
  }
  if (p.grad_cells) dc += load(p.grad_cells[cells_index(p, layer, t, b, u)]);
  const Gates<A> d = cell_backward<A>(p.options, {gates[0], gates[H], gates[2 * H], gates[3 * H]},
                                      {load(peephole[0]), load(peephole[H]), load(peephole[2 * H])}, c_before,
                                      saved.c[now * H + u], dh, dc);
  if (reset) dc = 0;
  return d;
}

// One cell, to which the steps after have given dh, that of h[t], and dc; at t = -1 the initial state. What the
// products read goes to dz and h_before, zero where the sequence does not run.
template <class S, class A = Arithmetic<S>>
__device__ Gates<A> run_cell(const Backward<S>& p, const WideBackwardWorkspace<S>& w, const A* dy, int64_t layer,
                             int64_t t, int64_t b, int64_t u, A dh, A& dc) {
  const int64_t H = p.size.H, row = t * p.size.B + b, steps = running_steps(p, b);
  const int64_t state = (layer * p.size.B + b) * H + u;
  Gates<A> d = {0, 0, 0, 0};
  if (t + 1 >= steps)
    dh = load(p.grad_h_n[state]);  // no step has come from the other side yet
  else if (is_reset(p, t + 1, b))
    dh = 0;
  if (t < 0) {
    store(p.grad_h_0 + state, dh);
    store(p.grad_c_0 + state, dc);
    return d;
  }
  A h_before = 0;
  if (t < steps) d = cell_gradients<S>(p, layer, t, b, u, dy[row * H + u] + dh, dc, h_before);
  store(w.h_before + row * H + u, h_before);
  S* dz = w.dz + row * gates_of_cell * H + u;
  store(dz, d.i);
  store(dz + H, d.f);
  store(dz + 2 * H, d.g);
  store(dz + 3 * H, d.o);
  return d;
}

// All steps of one layer, from the last. A task is a unit of the block and four sequences; wide_parts threads share its
// sums. `done` steps are behind it; one more gives the gradient of the initial
// state.
template <class S, class A = Arithmetic<S>>
__global__ void __launch_bounds__(wide_threads, wide_resident)
    cells_kernel(Backward<S> p, WideBackwardWorkspace<S> w, const A* dy, int64_t layer, Partition partition) {
  const Sizes& s = p.size;
  const int64_t H = s.H, units = partition.units, quads = sequence_quads(s), lanes = quad * quads;
  const int64_t first = blockIdx.x * units, count = H - first < units ? H - first : units;
  Memory memory = shared_memory();
  const WideShared<A, backward_sums> shared(memory, s, units);  // U: with which all units' gates meet h of the block's
  A* const partial = shared.partial;
  const int start = int((s.L - 1 - layer) * (s.T + 1)) + 1, me = threadIdx.x;

  for (int64_t e = me; e < gates_of_cell * count * H; e += wide_threads) {
    const int64_t i = e % count, gate = e / count % gates_of_cell, k = e / count / gates_of_cell;
    shared.U[k * units + i].of[gate] = load(p.weights.hh[((layer * gates_of_cell + gate) * H + k) * H + first + i]);
  }
  for (int64_t e = me; e < count * s.B; e += wide_threads) {
    const int64_t u = first + e / s.B, b = e % s.B;
    w.dc[u * lanes + b] = load(p.grad_c_n[(layer * s.B + b) * H + u]);
  }
  __syncthreads();
  for (int64_t done = 0; done <= s.T; ++done) {
    const int64_t t = s.T - 1 - done;
    const A* later = w.exchanged.numbers + ((done + 1) & 1) * gates_of_cell * H * lanes;
    A* now = w.exchanged.numbers + (done & 1) * gates_of_cell * H * lanes;
    if (done > 0) wait_for_all(w.exchanged.flags, partition.unit_blocks, start + int(done) - 1);
    for (int64_t from = 0; from < count * quads; from += wide_threads / wide_parts) {
      const int64_t task = from + me / wide_parts;
      Quad<A> sum = {};
      if (done > 0 && task < count * quads) {
        const Quad<A>*weights = shared.U + task / quads, *dz = reinterpret_cast<const Quad<A>*>(later) + task % quads;
        for (int64_t k = me % wide_parts; k < H; k += wide_parts) {
          const Quad<A> weight = weights[k * units];
          RESBLOCK_UNROLL
          for (int gate = 0; gate < gates_of_cell; ++gate) {
            const Quad<A> d = dz[(gate * H + k) * quads];
            RESBLOCK_UNROLL
            for (int b = 0; b < quad; ++b) sum.of[b] += weight.of[gate] * d.of[b];
          }
        }
      }
      RESBLOCK_UNROLL
      for (int b = 0; b < quad; ++b) partial[me * partial_stride + b] = sum.of[b];
      __syncthreads();
      const int64_t mine = from + me / quad, b = mine % quads * quad + me % quad, u = first + mine / quads;
      if (me < wide_threads / wide_parts * quad && mine < count * quads && b < s.B) {
        A dh = 0;
        for (int part = 0; part < wide_parts; ++part)
          dh += partial[(me / quad * wide_parts + part) * partial_stride + me % quad];
        const Gates<A> d = run_cell<S>(p, w, dy, layer, t, b, u, dh, w.dc[u * lanes + b]);
        const A of[gates_of_cell] = {d.i, d.f, d.g, d.o};
        RESBLOCK_UNROLL
        for (int gate = 0; gate < gates_of_cell; ++gate) now[(gate * H + u) * lanes + b] = of[gate];
      }
      __syncthreads();
    }
    if (t >= 0) tell_all(w.exchanged.flags + blockIdx.x, start + int(done));
  }
}

// The same on tensor cores, to which dz goes from step to step in tiles.
template <class S>
__global__ void __launch_bounds__(wide_threads, wide_resident)
    tensor_cells_kernel(Backward<S> p, WideBackwardWorkspace<S> w, const float* dy, int64_t layer,
                        Partition partition) {
  const Sizes& s = p.size;
  const int64_t H = s.H, B = s.B, plane = Exchange(s).numbers(gates_of_cell);
  const TensorBlock block(s, partition, w.exchanged.flags);
  Memory memory = shared_memory();
  const TensorShared<S, 1> shared(memory, s, partition.units);
  const int start = int((s.L - 1 - layer) * (s.T + 1)) + 1;

  block.load_weights(p.weights.hh + layer * gates_of_cell * H * H, H, 1, shared.U);
  block.for_each_cell([&](const TensorCell& cell) {
    if (cell.exists) w.dc[cell.b * H + cell.u] = load(p.grad_c_n[(layer * B + cell.b) * H + cell.u]);
  });
  __syncthreads();
  for (int64_t done = 0; done <= s.T; ++done) {
    const int64_t t = s.T - 1 - done;
    const S* later = w.exchanged.numbers + ((done + 1) & 1) * plane;
    S* now = w.exchanged.numbers + (done & 1) * plane;
    if (done > 0) block.wait(start + int(done) - 1);
    block.for_each_cell([&](const TensorCell& cell) {
      CellSums<1> dh = {};
      if (done > 0) dh = block.multiply(cell, later, shared.U, shared.partial);
      if (!cell.exists) return;
      const Gates<float> d = run_cell<S>(p, w, dy, layer, t, cell.b, cell.u, dh.of[0], w.dc[cell.b * H + cell.u]);
      if (t < 0) return;
      const float of[gates_of_cell] = {d.i, d.f, d.g, d.o};
      RESBLOCK_UNROLL
      for (int gate = 0; gate < gates_of_cell; ++gate)
        store(now + block.exchange.place(gates_of_cell, gate, cell.u, cell.b), of[gate]);
    });
    if (t >= 0) block.tell(start + int(done));
  }
}

template <class S>
const char* run_cells(const Backward<S>& p, const Context& context, const WideBackwardWorkspace<S>& w,
                      const Partition& partition, const Arithmetic<S>* dy, int64_t layer) {
  if constexpr (on_tensor_cores<S>) {
    const int64_t shared_bytes = bytes_of<TensorShared<S, 1>>(p.size, partition.units);
    return launch_kernel(context, {partition.blocks, wide_warps, shared_bytes, true}, tensor_cells_kernel<S>, p, w, dy,
                         layer, partition);
  } else {
    const int64_t shared_bytes = bytes_of<WideShared<Arithmetic<S>, backward_sums>>(p.size, partition.units);
    return launch_kernel(context, {partition.blocks, wide_warps, shared_bytes, true}, cells_kernel<S>, p, w, dy, layer,
                         partition);
  }
}

template <class S, class A = Arithmetic<S>>
__global__ void step_kernel(Backward<S> p, WideBackwardWorkspace<S> w, const A* dy, int64_t layer, int64_t t) {
  const int64_t H = p.size.H;
  RESBLOCK_EACH_ELEMENT(e, p.size.B * H)
  run_cell<S>(p, w, dy, layer, t, e / H, e % H, load(w.dh[e]), w.dc[e]);
}

// All steps of one layer, one after the other.
template <class S, class A = Arithmetic<S>>
const char* run_steps(const Backward<S>& p, const Context& context, const WideBackwardWorkspace<S>& w, int64_t layer) {
  const Sizes& s = p.size;
  const int64_t states = s.B * s.H;
  const Shape shape = elements_shape(states);
  const S* U = p.weights.hh + layer * gates_of_cell * s.H * s.H;
  const A* dy = w.dy[layer & 1];
  if (const char* error =
          launch_kernel(context, shape, convert_kernel<A, S>, p.grad_c_n + layer * states, w.dc, states))
    return error;
  for (int64_t t = (s.B ? s.T : 0) - 1; t >= -1; --t) {
    const S* dz_after = w.dz + (t + 1) * s.B * gates_of_cell * s.H;
    if (t + 1 < s.T)
      if (const char* error = context.matrices.multiply(
              MatrixProduct<S>{w.dh, dz_after, U, s.B, s.H, gates_of_cell * s.H, false, false}))
        return error;
    if (const char* error = launch_kernel(context, shape, step_kernel<S>, p, w, dy, layer, t)) return error;
  }
  return nullptr;
}

// The gradients of bias and peepholes: a block per row of z sums over all steps of all sequences, in a fixed order.
template <class S, class A = Arithmetic<S>>
__global__ void unit_gradients_kernel(Backward<S> p, const S* dz, int64_t layer) {
  const Sizes& s = p.size;
  const int64_t H = s.H, B = s.B, gate = blockIdx.x / H, u = blockIdx.x % H;
  const A* c = saved_layer(p.saved, s, layer).c + u;
  Memory memory = shared_memory();
  auto* sums = memory.take<double>(2 * wide_threads);
  double bias = 0, peephole = 0;
  for (int64_t row = threadIdx.x; row < s.T * B; row += wide_threads) {
    const int64_t t = row / B, b = row % B;
    if (t >= running_steps(p, b)) continue;
    const double d = load(dz[row * gates_of_cell * H + blockIdx.x]);
    bias += d;
    const A c_before = is_reset(p, t, b) ? A(0) : t ? c[(row - B) * H] : A(load(p.c_0[(layer * B + b) * H + u]));
    peephole += d * seen_by(gate, p.options, c_before, c[row * H]);
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
  store(p.grad_weights.bias + layer * gates_of_cell * H + blockIdx.x, A(sums[0]));
  if (gate == gate_g) return;  // which has no peephole
  store(p.grad_weights.peephole + (layer * peepholes_of_cell + peephole_of_gate(gate)) * H + u, A(sums[wide_threads]));
}

// dz^T rows, the gradient of a weight.
template <class S>
const char* multiply_weights(const Sizes& s, const Context& context, const WideBackwardWorkspace<S>& w, const S* rows,
                             int64_t columns, S* to) {
  return context.matrices.multiply(
      MatrixProduct<S>{to, w.dz, rows, gates_of_cell * s.H, columns, s.T * s.B, true, false});
}

template <class S, class A = Arithmetic<S>>
const char* layer_backward(const Backward<S>& p, const Context& context, const WideBackwardWorkspace<S>& w,
                           const Partition& partition, int64_t layer) {
  const Sizes& s = p.size;
  const int64_t rows = s.T * s.B, inputs = layer ? s.H : s.I;
  const A* dy = w.dy[layer & 1];
  if (const char* error =
          partition.blocks ? run_cells(p, context, w, partition, dy, layer) : run_steps(p, context, w, layer))
    return error;
  const Shape shape = {gates_of_cell * s.H, wide_warps, 2 * wide_threads * int64_t(sizeof(double))};
  if (const char* error = launch_kernel(context, shape, unit_gradients_kernel<S>, p, w.dz, layer)) return error;
  if (const char* error = layer ? launch_kernel(context, elements_shape(rows * inputs), dropped_rows_kernel<S>, p,
                                                context.seed, layer, saved_layer(p.saved, s, layer - 1).y, w.x)
                                : launch_kernel(context, elements_shape(rows * inputs), valid_rows_kernel<S, S>, p,
                                                p.input, inputs, w.x, nullptr, int64_t(0)))
    return error;
  if (const char* error = multiply_weights(s, context, w, w.x, inputs, input_weights(p.grad_weights, s, layer)))
    return error;
  if (const char* error =
          multiply_weights(s, context, w, w.h_before, s.H, p.grad_weights.hh + layer * gates_of_cell * s.H * s.H))
    return error;
  const S* W = input_weights(p.weights, s, layer);
  S* dx = layer ? w.dx : p.grad_input;
  if (const char* error =
          context.matrices.multiply(MatrixProduct<S>{dx, w.dz, W, rows, inputs, gates_of_cell * s.H, false, false}))
    return error;
  if (layer == 0) return nullptr;
  const bool passed_on = shortcut_passes(s, p.options, layer);
  return launch_kernel(context, elements_shape(rows * s.H), gradient_below_kernel<S>, p, context.seed, layer, passed_on,
                       dx, w.dy[(layer + 1) & 1]);
}

}  // namespace

template <class S>
const char* wide_backward(const Plan& plan, const Backward<S>& p, const Context& context, void* workspace) {
  const Sizes& s = p.size;
  Memory memory(workspace);
  const WideBackwardWorkspace<S> w(memory, s, plan.partition);
  if (const char* error =
          launch_kernel(context, elements_shape(s.T * s.B * s.H), valid_rows_kernel<S, Arithmetic<S>>, p, p.grad_output,
                        s.H, w.dy[(s.L - 1) & 1], w.exchanged.words, w.exchanged.word_count))
    return error;
  for (int64_t layer = s.L - 1; layer >= 0; --layer)
    if (const char* error = layer_backward(p, context, w, plan.partition, layer)) return error;
  return nullptr;
}

#define RESBLOCK_INSTANTIATE(S) \
  template const char* wide_backward(const Plan&, const Backward<S>&, const Context&, void*);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
