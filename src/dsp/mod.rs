//! Pure signal processing: a clip in, its features out.
