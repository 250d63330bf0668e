//! Wider registers where the machine has them.
//!
//! The inner loops are written as plain arithmetic on arrays of lanes, which the compiler turns into SIMD for the baseline of
//! the target (SSE2 on x86-64). [`widest`] has the same code compiled a second time for AVX2 and picks at run time. Order of
//! operations and width of the lanes are the code's, not the machine's, so both give the same bits.

use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

/// Work for [`widest`].
///
/// [`run`](Lanes::run) must be `#[inline(always)]`, and so must everything it calls that is to gain: what stays a call of its
/// own, and a closure may, is compiled for the baseline.
pub(super) trait Lanes {
    type Output;
    fn run(self) -> Self::Output;
}

/// Does `work` with the widest registers of this machine.
pub(super) fn widest<W: Lanes>(work: W) -> W::Output {
    static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);
    ARCH.dispatch(Dispatched(work))
}

struct Dispatched<W>(W);

impl<W: Lanes> WithSimd for Dispatched<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> W::Output {
        self.0.run()
    }
}
