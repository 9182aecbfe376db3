// Wide schedule, forward: z = x W^T of all steps by the library, then the cells of all steps in one kernel, or step by
// step.
#include "core/cuda/schedules.h"
#include "core/cuda/wide_rows.h"
#include "core/cuda/wide_tensor.h"

namespace resblock::cuda {
namespace {

constexpr int partial_stride = WideShared<float, forward_sums>::stride;

// One cell of the layer, whose pre-activation is that of its input and that of h[t-1], but for bias and peepholes.
template <class S, class A = Arithmetic<S>>
__device__ void run_cell(const Forward<S>& p, int64_t layer, int64_t t, int64_t b, int64_t u, Gates<A> gate,
                         const Gates<A>& of_h, A* y, A h_before, A& h, A& c) {
  const int64_t H = p.size.H, row = t * p.size.B + b;
  const S *bias = p.weights.bias + layer * gates_of_cell * H + u,
          *peephole = p.weights.peephole + layer * peepholes_of_cell * H + u;
  const bool active = t < running_steps(p, b);
  if (active && is_reset(p, t, b))
    c = 0;
  else
    gate = {gate.i + of_h.i, gate.f + of_h.f, gate.g + of_h.g, gate.o + of_h.o};
  gate = {gate.i + load(bias[0]), gate.f + load(bias[H]), gate.g + load(bias[2 * H]), gate.o + load(bias[3 * H])};
  const CellState<A> now =
      cell_forward<A>(p.options, gate, {load(peephole[0]), load(peephole[H]), load(peephole[2 * H])}, c);
  h = active ? now.h : h_before;
  A& out = y[row * H + u];  // holds y of two layers below
  out = !active ? A(0) : has_shortcut(p.options, layer) ? now.h + out : now.h;
  if (layer + 1 == p.size.L) store(p.output + row * H + u, out);
  if (p.cells) store(p.cells + cells_index(p, layer, t, b, u), active ? now.c : A(0));
  if (!active) return;
  c = now.c;
  if (!p.saved) return;
  const SavedLayer<A> saved = saved_layer(p.saved, p.size, layer);
  A* gates = saved.gates + row * gates_of_cell * H + u;
  gates[0] = gate.i;
  gates[H] = gate.f;
  gates[2 * H] = gate.g;
  gates[3 * H] = gate.o;
  saved.c[row * H + u] = now.c;
  saved.y[row * H + u] = out;
}

// A row of (rows, 4H).
template <class S, class A = Arithmetic<S>>
__device__ Gates<A> gates_of(const S* z, int64_t row, int64_t H, int64_t u) {
  z += row * gates_of_cell * H + u;
  return {load(z[0]), load(z[H]), load(z[2 * H]), load(z[3 * H])};
}

// All steps of one layer. A task is a unit of the block and four sequences; wide_parts threads share its sums.
template <class S, class A = Arithmetic<S>>
__global__ void __launch_bounds__(wide_threads, wide_resident)
    cells_kernel(Forward<S> p, WideForwardWorkspace<S> w, A* y, int64_t layer, Partition partition) {
  const Sizes& s = p.size;
  const int64_t H = s.H, units = partition.units, quads = sequence_quads(s), lanes = quad * quads;
  const int64_t first = blockIdx.x * units, count = H - first < units ? H - first : units;
  Memory memory = shared_memory();
  const WideShared<A, forward_sums> shared(memory, s, units);
  A* const partial = shared.partial;
  const int start = int(layer * (s.T + 1)) + 1, me = threadIdx.x;

  for (int64_t e = me; e < gates_of_cell * count * H; e += wide_threads) {
    const int64_t k = e % H, gate = e / H % gates_of_cell, i = e / H / gates_of_cell;
    shared.U[k * units + i].of[gate] = load(p.weights.hh[((layer * gates_of_cell + gate) * H + first + i) * H + k]);
  }
  for (int64_t e = me; e < count * s.B; e += wide_threads) {
    const int64_t u = first + e / s.B, b = e % s.B;
    w.h.numbers[u * lanes + b] = load(p.h_0[(layer * s.B + b) * H + u]);
    w.c[u * lanes + b] = load(p.c_0[(layer * s.B + b) * H + u]);
  }
  tell_all(w.h.flags + blockIdx.x, start);
  for (int64_t t = 0; t < s.T; ++t) {
    const A* before = w.h.numbers + (t & 1) * H * lanes;
    A* after = w.h.numbers + ((t + 1) & 1) * H * lanes;
    wait_for_all(w.h.flags, partition.unit_blocks, start + int(t));
    for (int64_t from = 0; from < count * quads; from += wide_threads / wide_parts) {
      const int64_t task = from + me / wide_parts;
      Quad<A> sum[gates_of_cell] = {};
      if (task < count * quads) {
        const Quad<A>*weights = shared.U + task / quads,
              *states = reinterpret_cast<const Quad<A>*>(before) + task % quads;
        for (int64_t k = me % wide_parts; k < H; k += wide_parts) {
          const Quad<A> weight = weights[k * units], h = states[k * quads];
          RESBLOCK_UNROLL
          for (int gate = 0; gate < gates_of_cell; ++gate) {
            RESBLOCK_UNROLL
            for (int b = 0; b < quad; ++b) sum[gate].of[b] += weight.of[gate] * h.of[b];
          }
        }
      }
      RESBLOCK_UNROLL
      for (int n = 0; n < forward_sums; ++n) partial[me * partial_stride + n] = sum[n / quad].of[n % quad];
      __syncthreads();
      const int64_t mine = from + me / quad, b = mine % quads * quad + me % quad, u = first + mine / quads;
      if (me < wide_threads / wide_parts * quad && mine < count * quads && b < s.B) {
        Gates<A> of_h = {0, 0, 0, 0};
        for (int part = 0; part < wide_parts; ++part) {
          const A* sums = partial + (me / quad * wide_parts + part) * partial_stride + me % quad;
          of_h = {of_h.i + sums[0], of_h.f + sums[quad], of_h.g + sums[2 * quad], of_h.o + sums[3 * quad]};
        }
        run_cell<S>(p, layer, t, b, u, gates_of(w.z, t * s.B + b, H, u), of_h, y, before[u * lanes + b],
                    after[u * lanes + b], w.c[u * lanes + b]);
      }
      __syncthreads();
    }
    tell_all(w.h.flags + blockIdx.x, start + int(t) + 1);
  }
  const A* last = w.h.numbers + (s.T & 1) * H * lanes;
  for (int64_t e = me; e < count * s.B; e += wide_threads) {
    const int64_t u = first + e / s.B, b = e % s.B;
    store(p.h_n + (layer * s.B + b) * H + u, last[u * lanes + b]);
    store(p.c_n + (layer * s.B + b) * H + u, w.c[u * lanes + b]);
  }
}

// The same on tensor cores, to which h goes from step to step in tiles.
template <class S>
__global__ void __launch_bounds__(wide_threads, wide_resident)
    tensor_cells_kernel(Forward<S> p, WideForwardWorkspace<S> w, float* y, int64_t layer, Partition partition) {
  const Sizes& s = p.size;
  const int64_t H = s.H, B = s.B, plane = Exchange(s).numbers(1);
  const TensorBlock block(s, partition, w.h.flags);
  Memory memory = shared_memory();
  const TensorShared<S, gates_of_cell> shared(memory, s, partition.units);
  const int start = int(layer * (s.T + 1)) + 1;

  block.load_weights(p.weights.hh + layer * gates_of_cell * H * H, 1, H, shared.U);
  block.for_each_cell([&](const TensorCell& cell) {
    if (!cell.exists) return;
    const int64_t state = (layer * B + cell.b) * H + cell.u;
    w.h.numbers[block.exchange.place(1, 0, cell.u, cell.b)] = p.h_0[state];
    w.c[cell.b * H + cell.u] = load(p.c_0[state]);
  });
  block.tell(start);
  for (int64_t t = 0; t < s.T; ++t) {
    const S* before = w.h.numbers + (t & 1) * plane;
    S* after = w.h.numbers + ((t + 1) & 1) * plane;
    block.wait(start + int(t));
    block.for_each_cell([&](const TensorCell& cell) {
      Gates<float> gate = {0, 0, 0, 0};
      if (cell.exists) gate = gates_of(w.z, t * B + cell.b, H, cell.u);
      const CellSums<gates_of_cell> sum = block.multiply(cell, before, shared.U, shared.partial);
      if (!cell.exists) return;
      const int64_t place = block.exchange.place(1, 0, cell.u, cell.b);
      float h;
      run_cell<S>(p, layer, t, cell.b, cell.u, gate, {sum.of[0], sum.of[1], sum.of[2], sum.of[3]}, y,
                  load(before[place]), h, w.c[cell.b * H + cell.u]);
      store(after + place, h);
    });
    block.tell(start + int(t) + 1);
  }
  block.for_each_cell([&](const TensorCell& cell) {
    if (!cell.exists) return;
    const int64_t state = (layer * B + cell.b) * H + cell.u;
    p.h_n[state] = w.h.numbers[(s.T & 1) * plane + block.exchange.place(1, 0, cell.u, cell.b)];
    store(p.c_n + state, w.c[cell.b * H + cell.u]);
  });
}

template <class S>
const char* run_cells(const Forward<S>& p, const Context& context, const WideForwardWorkspace<S>& w,
                      const Partition& partition, Arithmetic<S>* y, int64_t layer) {
  if constexpr (on_tensor_cores<S>) {
    const int64_t shared_bytes = bytes_of<TensorShared<S, gates_of_cell>>(p.size, partition.units);
    return launch_kernel(context, {partition.blocks, wide_warps, shared_bytes, true}, tensor_cells_kernel<S>, p, w, y,
                         layer, partition);
  } else {
    const int64_t shared_bytes = bytes_of<WideShared<Arithmetic<S>, forward_sums>>(p.size, partition.units);
    return launch_kernel(context, {partition.blocks, wide_warps, shared_bytes, true}, cells_kernel<S>, p, w, y, layer,
                         partition);
  }
}

// One step, whose z is that of the inputs and z_h.
template <class S, class A = Arithmetic<S>>
__global__ void step_kernel(Forward<S> p, WideForwardWorkspace<S> w, A* y, int64_t layer, int64_t t) {
  const int64_t H = p.size.H, B = p.size.B;
  RESBLOCK_EACH_ELEMENT(e, B * H) {
    const int64_t b = e / H, u = e % H;
    A after;
    run_cell<S>(p, layer, t, b, u, gates_of(w.z, t * B + b, H, u), gates_of(w.z_h, b, H, u), y, load(w.h.numbers[e]),
                after, w.c[e]);
    store(w.h.numbers + e, after);
  }
}

// All steps of one layer, one after the other.
template <class S, class A = Arithmetic<S>>
const char* run_steps(const Forward<S>& p, const Context& context, const WideForwardWorkspace<S>& w, A* y,
                      int64_t layer) {
  const Sizes& s = p.size;
  const int64_t states = s.B * s.H, first = layer * states;
  const Shape shape = elements_shape(states);
  const auto step = step_kernel<S>;
  const S* U = p.weights.hh + layer * gates_of_cell * s.H * s.H;
  if (const char* error = launch_kernel(context, shape, convert_kernel<S, S>, p.h_0 + first, w.h.numbers, states))
    return error;
  if (const char* error = launch_kernel(context, shape, convert_kernel<A, S>, p.c_0 + first, w.c, states)) return error;
  for (int64_t t = 0; t < (s.B ? s.T : 0); ++t) {
    if (const char* error = context.matrices.multiply(
            MatrixProduct<S>{w.z_h, w.h.numbers, U, s.B, gates_of_cell * s.H, s.H, false, true}))
      return error;
    if (const char* error = launch_kernel(context, shape, step, p, w, y, layer, t)) return error;
  }
  if (const char* error = launch_kernel(context, shape, convert_kernel<S, S>, w.h.numbers, p.h_n + first, states))
    return error;
  return launch_kernel(context, shape, convert_kernel<S, A>, w.c, p.c_n + first, states);
}

// x W^T of one layer, into z.
template <class S>
const char* project(const Forward<S>& p, const Context& context, const WideForwardWorkspace<S>& w, int64_t layer) {
  const Sizes& s = p.size;
  const int64_t rows = s.T * s.B, inputs = layer ? s.H : s.I;
  const Shape shape = elements_shape(rows * inputs);
  if (const char* error = layer ? launch_kernel(context, shape, dropped_rows_kernel<S>, p, context.seed, layer,
                                                w.y[(layer - 1) & 1], w.x)
                                : launch_kernel(context, shape, valid_rows_kernel<S, S>, p, p.input, inputs, w.x,
                                                w.h.words, w.h.word_count))
    return error;
  return context.matrices.multiply(
      MatrixProduct<S>{w.z, w.x, input_weights(p.weights, s, layer), rows, gates_of_cell * s.H, inputs, false, true});
}

}  // namespace

template <class S>
const char* wide_forward(const Plan& plan, const Forward<S>& p, const Context& context, void* workspace) {
  Memory memory(workspace);
  const WideForwardWorkspace<S> w(memory, p.size, plan.partition);
  for (int64_t layer = 0; layer < p.size.L; ++layer) {
    Arithmetic<S>* y = w.y[layer & 1];
    if (const char* error = project(p, context, w, layer)) return error;
    if (const char* error = plan.partition.blocks ? run_cells(p, context, w, plan.partition, y, layer)
                                                  : run_steps(p, context, w, y, layer))
      return error;
  }
  return nullptr;
}

#define RESBLOCK_INSTANTIATE(S) \
  template const char* wide_forward(const Plan&, const Forward<S>&, const Context&, void*);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
