//! Tests of the program as it is run.
mod writing;
