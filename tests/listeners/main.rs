//! Promises of the listeners and audio stages and of their clients, against servers on loopback that behave like the real ones
//! on their worst days.

mod audio;
mod figures;
mod lastfm;
mod previews;
mod rig;
mod sandbox;
