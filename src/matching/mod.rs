//! Pure: normalisation and similarity of artist and track names.
