//! The external APIs, one folder each, all on top of [`http`].

pub mod http;
pub mod spotify;
