// The gradients of a layer's weights over one chunk: products of dz (steps, gates, lanes) with what the layer was fed.
// The latter, xh, stands in rows of sequences (steps, lanes, inputs + H), so that lanes of a sum are neighbouring
// weights and no sum goes across lanes.

// gradient[row] += the sum over steps and lanes.
template <class V, class A>
inline void add_row_sums(int64_t steps, int64_t rows, const A* from, A* gradient) {
  for (int64_t first = 0; first < rows; first += V::width) {
    const int64_t count = rows - first < V::width ? rows - first : V::width;
    V sum[V::width];
    for (V& s : sum) s = V(A(0));
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t row = 0; row < count; ++row) sum[row] += V::load(from + (t * rows + first + row) * V::width);
    lanes_added(sum);
    for (int64_t row = 0; row < count; ++row) gradient[first + row] += sum[0].v[row];
  }
}

// Rows [row, row + R) of dz xh summed over steps and lanes (W), in some neighbouring columns.
template <int R, int W, class Columns, class A>
inline void product_rows(int64_t steps, int64_t gates, int64_t width, int64_t row, Columns columns, const A* dz,
                         const A* xh, A* to) {
  using V = Lanes<A, vector_lanes<A>>;
  V sum[R];
  for (V& s : sum) s = V(A(0));
  for (int64_t t = 0; t < steps; ++t) {
    const A* d = dz + (t * gates + row) * W;
    for (int n = 0; n < W; ++n, ++d, xh += width) {
      const V x = columns.load(xh);
      RESBLOCK_UNROLL
      for (int r = 0; r < R; ++r) sum[r] += V(d[r * W]) * x;
    }
  }
  for (int r = 0; r < R; ++r) columns.store(sum[r], to + (row + r) * width);
}

// to (gates, width) = dz xh.
template <int W, class A>
inline void products(int64_t steps, int64_t gates, int64_t width, const A* dz, const A* xh, A* to) {
  for_units<A>(width, [&](auto columns) {
    int64_t row = 0;
    for (; row + 8 <= gates; row += 8) product_rows<8, W>(steps, gates, width, row, columns, dz, xh, to);
    if (row < gates) product_rows<4, W>(steps, gates, width, row, columns, dz, xh, to);
  });
}

// Adds the columns of the products to those of the inputs' and of the recurrent weights.
template <class A>
inline void add_products(int64_t gates, int64_t inputs, int64_t H, const A* products, A* ih, A* hh) {
  for (int64_t row = 0; row < gates; ++row, products += inputs + H) {
    add(products, inputs, ih + row * inputs);
    add(products + inputs, H, hh + row * H);
  }
}
