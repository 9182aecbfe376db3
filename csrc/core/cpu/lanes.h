// W numbers side by side, with the arithmetic the cell's equations want.
//
// Included by the per-instruction-set files only, inside their namespace.

template <class U, int W>
struct LaneBits {
  typedef U Vec __attribute__((vector_size(W * sizeof(U))));
  Vec v;

  LaneBits() = default;
  RESBLOCK_INLINE explicit LaneBits(int x) : v(Vec{} + U(x)) {}
  static RESBLOCK_INLINE LaneBits of(const Vec& v) {
    LaneBits x;
    x.v = v;
    return x;
  }
  friend RESBLOCK_INLINE LaneBits operator+(LaneBits a, LaneBits b) { return of(a.v + b.v); }
  friend RESBLOCK_INLINE LaneBits operator-(LaneBits a, LaneBits b) { return of(a.v - b.v); }
  friend RESBLOCK_INLINE LaneBits operator<<(LaneBits a, int bits) { return of(a.v << bits); }
};

template <class A, int W>
struct Lanes {
  typedef A Vec __attribute__((vector_size(W * sizeof(A))));
  typedef decltype(Vec{} < Vec{}) Mask;
  using Scalar = A;
  using Bits = LaneBits<typename ExpTraits<A>::Bits, W>;
  static constexpr int width = W;
  Vec v;

  Lanes() = default;
  RESBLOCK_INLINE Lanes(A x) : v(x - Vec{}) {}

  static RESBLOCK_INLINE Lanes of(const Vec& v) {
    Lanes x;
    x.v = v;
    return x;
  }
  static RESBLOCK_INLINE Lanes load(const A* from) {
    Lanes x;
    memcpy(&x.v, from, sizeof x.v);
    return x;
  }
  RESBLOCK_INLINE void store(A* to) const { memcpy(to, &v, sizeof v); }

  RESBLOCK_INLINE Lanes operator-() const { return of(-v); }
  RESBLOCK_INLINE Lanes& operator+=(Lanes o) {
    v += o.v;
    return *this;
  }
  friend RESBLOCK_INLINE Lanes operator+(Lanes a, Lanes b) { return of(a.v + b.v); }
  friend RESBLOCK_INLINE Lanes operator-(Lanes a, Lanes b) { return of(a.v - b.v); }
  friend RESBLOCK_INLINE Lanes operator*(Lanes a, Lanes b) { return of(a.v * b.v); }
  friend RESBLOCK_INLINE Lanes operator/(Lanes a, Lanes b) { return of(a.v / b.v); }
  friend RESBLOCK_INLINE Mask operator<(Lanes a, Lanes b) { return a.v < b.v; }
  friend RESBLOCK_INLINE Mask operator>(Lanes a, Lanes b) { return a.v > b.v; }
  friend RESBLOCK_INLINE Lanes select(Mask which, Lanes yes, Lanes no) { return of(which ? yes.v : no.v); }
};
