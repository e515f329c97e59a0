//! The `acequia` command.
fn main() {}
