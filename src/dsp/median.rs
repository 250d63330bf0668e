//! Running medians of 31 values, sixteen series side by side.
//!
//! Two neighbouring windows share 30 of their 31 values, so the work is shared in halves: eight windows in a row have 24
//! values in common, each four of them four more, each pair two more, each window one more. Common values are kept as sorted
//! runs and merged by networks of minima and maxima without a branch, which the compiler turns into SIMD; of each merge
//! only the ranks that can still be the median are kept. That is some 33 instructions for sixteen medians.
//!
//! Everything here is inlined into the caller, who has it compiled for the widest registers (see [`super::simd`]).

/// Values under one window; odd, so that the median is one of them.
pub(super) const TAPS: usize = 31;
/// Values before (and after) the centre of a window.
pub(super) const REACH: usize = TAPS / 2;
/// Series side by side: one 256-bit register of 16-bit values, or two of 128 bits.
pub(super) const LANES: usize = 16;
/// One position of all series.
pub(super) type Row = [i16; LANES];

/// Windows whose work is shared.
const SHARED: usize = 8;
/// The eight windows beginning at row `b` have rows `b + 7 ..= b + 30` in common. Rows before the first, so that these runs
/// of 8 and 16 begin at multiples of 8.
const LEAD: usize = 1;

/// Reusable space for the rows and their sorted runs.
#[derive(Debug, Default)]
pub(super) struct RunningMedian {
    len: usize,
    /// The rows themselves; then each aligned pair, four and eight of them sorted.
    singles: Vec<Row>,
    pairs: Vec<Row>,
    fours: Vec<Row>,
    eights: Vec<Row>,
    medians: Vec<Row>,
}

impl RunningMedian {
    /// Where the `len` positions of the series are to be put before [`run`](Self::run).
    #[inline(always)]
    pub(super) fn series(&mut self, len: usize) -> &mut [Row] {
        self.len = len;
        let windows = len.next_multiple_of(SHARED);
        self.singles.resize((windows + LEAD + TAPS).next_multiple_of(SHARED), [0; LANES]);
        &mut self.singles[LEAD + REACH..][..len]
    }

    /// The median of each window, the series continued at both ends by reflection (`d c b a | a b c d | d c b a`).
    #[inline(always)]
    pub(super) fn run(&mut self) -> &[Row] {
        let end = LEAD + REACH + self.len;
        for i in (0..LEAD + REACH).chain(end..self.singles.len()) {
            self.singles[i] = self.singles[LEAD + REACH + reflect(i, self.len)];
        }
        self.sort_runs();
        self.medians.resize(self.len.next_multiple_of(SHARED), [0; LANES]);
        for first in (0..self.len).step_by(SHARED) {
            let medians = self.eight_medians(first + LEAD);
            if let Some(out) = self.medians.get_mut(first..).and_then(|rest| rest.first_chunk_mut::<SHARED>()) {
                *out = medians;
            }
        }
        &self.medians[..self.len]
    }

    #[inline(always)]
    fn sort_runs(&mut self) {
        for runs in [&mut self.pairs, &mut self.fours, &mut self.eights] {
            runs.resize(self.singles.len(), [0; LANES]);
        }
        let sources = self.singles.as_chunks::<8>().0.iter();
        let targets = self.pairs.as_chunks_mut::<8>().0.iter_mut();
        let targets = targets.zip(self.fours.as_chunks_mut::<8>().0).zip(self.eights.as_chunks_mut::<8>().0);
        for (source, ((pairs, fours), eights)) in sources.zip(targets) {
            let mut run = *source;
            for i in [0, 2, 4, 6] {
                exchange(&mut run, i, i + 1);
            }
            *pairs = run;
            merge_sorted::<8, 4>(&mut run);
            *fours = run;
            merge_sorted::<8, 8>(&mut run);
            *eights = run;
        }
    }

    /// The medians of the windows that begin at rows `b` to `b + 7`.
    #[inline(always)]
    fn eight_medians(&self, b: usize) -> [Row; SHARED] {
        let common = middle_of_24(run::<8>(&self.eights, b + 7), run::<16>(&self.eights, b + 15));
        let mut medians = [[0; LANES]; SHARED];
        for (half, out) in medians.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            // Windows that begin earlier take in earlier rows, later ones later rows.
            let extra = if half == 0 { b + 3 } else { b + 31 };
            let four = middle_of_12(&common, run::<4>(&self.fours, extra));
            let first = b + 4 * half;
            for (pair, out) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let extra = if pair == 0 { first + 1 } else { first + 31 };
                let two = middle_of_6(&four, run::<2>(&self.pairs, extra));
                let window = first + 2 * pair;
                for (end, out) in [window, window + TAPS].into_iter().zip(out) {
                    *out = max(&two[0], &min(&two[1], &run::<1>(&self.singles, end)[0]));
                }
            }
        }
        medians
    }
}

/// The position of a series of `len` that row `i` repeats.
fn reflect(i: usize, len: usize) -> usize {
    let period = 2 * len.max(1);
    let at = (i + period * TAPS - REACH - LEAD) % period;
    if at < len { at } else { period - 1 - at }
}

/// By reference: a copy of sixteen rows would be a call.
#[inline(always)]
fn run<const N: usize>(rows: &[Row], at: usize) -> &[Row; N] {
    // Every run asked for lies within the rows: they are padded to whole blocks. Zeros rather than a panic otherwise.
    rows.get(at..).and_then(|rows| rows.first_chunk::<N>()).unwrap_or(&[[0; LANES]; N])
}

#[inline(always)]
fn min(a: &Row, b: &Row) -> Row {
    let mut least = [0; LANES];
    for lane in 0..LANES {
        least[lane] = a[lane].min(b[lane]);
    }
    least
}

#[inline(always)]
fn max(a: &Row, b: &Row) -> Row {
    let mut greatest = [0; LANES];
    for lane in 0..LANES {
        greatest[lane] = a[lane].max(b[lane]);
    }
    greatest
}

#[inline(always)]
fn exchange<const N: usize>(run: &mut [Row; N], i: usize, j: usize) {
    (run[i], run[j]) = (min(&run[i], &run[j]), max(&run[i], &run[j]));
}

/// Merges the two sorted halves of each run of `M` rows (Batcher's odd-even merge).
#[inline(always)]
fn merge_sorted<const N: usize, const M: usize>(rows: &mut [Row; N]) {
    for start in (0..N).step_by(M) {
        for i in start..start + M / 2 {
            exchange(rows, i, i + M / 2);
        }
        finish_merge::<N, M>(rows, start);
    }
}

/// What remains of a merge once the two halves have been exchanged row by row.
#[inline(always)]
fn finish_merge<const N: usize, const M: usize>(rows: &mut [Row; N], start: usize) {
    let mut distance = M / 4;
    while distance >= 1 {
        let mut i = start + distance;
        while i + distance < start + M {
            for j in i..i + distance {
                exchange(rows, j, j + distance);
            }
            i += 2 * distance;
        }
        distance /= 2;
    }
}

/// Sorts runs that rise and then fall (Batcher's bitonic merge).
#[inline(always)]
fn sort_bitonic(rows: &mut [Row; 8]) {
    for distance in [4, 2, 1] {
        for i in 0..8 {
            if i & distance == 0 {
                exchange(rows, i, i + distance);
            }
        }
    }
}

/// Ranks 8 to 15 of a sorted run of 8 and two sorted runs of 8 that lie one after the other in `sixteen`.
#[inline(always)]
fn middle_of_24(eight: &[Row; 8], sixteen: &[Row; 16]) -> [Row; 8] {
    let mut long = [[0; LANES]; 16];
    for i in 0..8 {
        (long[i], long[i + 8]) = (min(&sixteen[i], &sixteen[i + 8]), max(&sixteen[i], &sixteen[i + 8]));
    }
    finish_merge::<16, 16>(&mut long, 0);
    // Of the upper half of `long`, what is still among the 16 smallest; then the larger half of those 16.
    let mut low = [[0; LANES]; 8];
    for i in 0..8 {
        low[i] = min(&eight[i], &long[15 - i]);
    }
    sort_bitonic(&mut low);
    let mut middle = [[0; LANES]; 8];
    for i in 0..8 {
        middle[i] = max(&long[i], &low[7 - i]);
    }
    sort_bitonic(&mut middle);
    middle
}

/// Ranks 4 to 7 of two sorted runs: the k-th smallest of a union is the least of the maxima over all ways to take k.
#[inline(always)]
fn middle_of_12(c: &[Row; 8], x: &[Row; 4]) -> [Row; 4] {
    let mut middle = [[0; LANES]; 4];
    for q in 0..4 {
        middle[q] = c[q + 4];
        for i in 0..4 {
            middle[q] = min(&middle[q], &max(&x[i], &c[q + 3 - i]));
        }
    }
    middle
}

/// Ranks 2 and 3 of two sorted runs.
#[inline(always)]
fn middle_of_6(d: &[Row; 4], y: &[Row; 2]) -> [Row; 2] {
    let mut middle = [[0; LANES]; 2];
    for q in 0..2 {
        middle[q] = min(&d[q + 2], &min(&max(&y[0], &d[q + 1]), &max(&y[1], &d[q])));
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_median(series: &[i16], at: usize) -> i16 {
        let mut window: Vec<i16> = (at..at + TAPS).map(|i| series[reflect(i + LEAD, series.len())]).collect();
        window.sort_unstable();
        window[REACH]
    }

    #[test]
    fn equals_the_plain_median_for_every_length_and_lane() {
        let mut state = 1u32;
        let mut draw = |range: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) % range) as i16
        };
        for len in (1..80).chain([431, 1025]) {
            for range in [2, 40, 30_000] {
                let series: Vec<Row> = (0..len).map(|_| std::array::from_fn(|_| draw(range))).collect();
                let mut running = RunningMedian::default();
                running.series(len).copy_from_slice(&series);
                let medians = running.run();
                assert_eq!(medians.len(), len);
                for lane in 0..LANES {
                    let one: Vec<i16> = series.iter().map(|row| row[lane]).collect();
                    for (at, median) in medians.iter().enumerate() {
                        assert_eq!(median[lane], plain_median(&one, at), "length {len}, lane {lane}, position {at}");
                    }
                }
            }
        }
    }
}
