//! Pure signal processing: a clip in, its features out.
/// placeholder until merge
pub fn danceability(_: Option<f64>, _: Option<f64>, _: Option<f64>, _: Option<f64>) -> Option<f64> {
    None
}
