//! See the promises of the modules.
