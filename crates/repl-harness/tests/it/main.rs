//! What the stress suite accepts and what it must not.

mod honest;
mod planted;
mod planted_bugs_are_caught;
mod planted_life;
mod planted_recovery;
mod planted_window;
