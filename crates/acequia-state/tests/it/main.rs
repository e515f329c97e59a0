//! Durability, fencing and damage of checkpoints, against stores that fail on purpose.

mod crash;
mod fault;
mod logs;
mod records;
