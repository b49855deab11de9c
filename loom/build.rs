//! Sets the cfg under which the sources of repl-core take their atomics and locks from loom.
//!
//! The cfg is set here, and not in `RUSTFLAGS`, so that it holds for this crate alone: a dependent
//! of repl-core that runs its own models under `--cfg loom` gets repl-core without loom.

fn main() {
    println!("cargo::rustc-cfg=loom_models");
    // A feature of repl-core, which the models do not need.
    println!("cargo::rustc-check-cfg=cfg(feature, values(\"serde\"))");
    println!("cargo::rerun-if-changed=build.rs");
}
