//! The stores on real servers pass the race.
#![cfg(unix)]

mod races_on_postgres;
mod races_on_seaweedfs;
