//! Checkpoints: bytes, names and layouts.
