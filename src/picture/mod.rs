//! Pictures: decoding, and the rules by which they become a network's input.

mod rule;

pub use rule::{ChannelOrder, Interpolation, Preprocessing, Resize};
