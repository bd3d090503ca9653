"""The kernel language: what printers write for compilers of LLVM text, and its front ends.

It is a subset of Python that Numba compiles::

    def entry(lo, hi, a0, a1, ..., n0, n1, ...):
        for i in range(lo, hi):
            x0 = a0[i]
            a1[i] = x0 * f64(0.5) + exp(x0)

* A parameter has a type code: ``p:f64`` (pointer; also f32, i8..i64, u8..u64, and ``p:bool``, bytes
  of 0 or 1 that read as u8), ``i64`` for sizes, any scalar code for scalars. Pointers do not alias.
  A pointer ``s:f64`` is to memory that other lanes store to meanwhile.
* Positions are i64, or i32 throughout: the variable of a range is i32 if all its bounds are.
* Statements: assignment, ``+=`` and the like, ``for _ in range(lo, hi[, step])``, ``while``,
  ``if``/``else``, ``a[i] = v``. A variable keeps one type. No closures, no calls but those below.
* Both operands of an operator have one type, which is the result's (so i32 + i32 is i32, wrapping).
  ``/`` is for floats; ``//`` and ``%`` are for integers, floor as NumPy has it, and never trap
  (division by zero gives 0). ``& | ^ ~ << >>`` on integers, ``& | ^ ~ not`` on booleans;
  comparisons give booleans. Untyped literals are f64 and i64: write ``f32(0.5)``, ``u8(1)``.
* ``f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 boolean``: conversions, from any type. Float to integer
  saturates and NaN gives 0. ``bitcast_f64(x)`` and so on: the same bits as another type.
* In f32 and f64: exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh
  asinh acosh atanh erf erfc lgamma digamma cbrt sqrt floor ceil rint trunc, atan2 pow hypot
  copysign, polygamma(n, x), fma(a, b, c); isnan isinf isfinite signbit give booleans.
* ``fabs``, ``fmod``, ``fmin_nan``, ``fmax_nan`` on any numbers; the last two propagate NaN.
* ``select(c, a, b)``: a choice without a branch; both sides are evaluated.
* ``add_reassoc(acc, x)``, ``mul_reassoc``, ``min_reassoc``, ``max_reassoc``: a step of a reduction
  that LLVM may reorder, and so vectorise. All other arithmetic keeps its exact IEEE meaning.
* ``udiv(a, b)``, ``urem(a, b)``: index arithmetic, a >= 0 and b > 0 known; else undefined.
* ``inf``, ``nan``: f64 constants.
* For kernels of several lanes, which devices run that have them: ``barrier()``; ``shuffle(x, k)``, the
  x of the lane whose number differs from this one's by the bits of k, among 32 neighbours.
* ``atomic_add(a, k, x)``: a[k] += x, in words of 32 and 64 bits, whoever else does so meanwhile.

frontend.py chooses between the two front ends, direct.py and inferred.py; operations.py is the table of
operations that both read.
"""
