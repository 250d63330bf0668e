//! The migrations are compiled into the binary: a new one has to be noticed without a change of any source file.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
