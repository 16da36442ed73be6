//! What `eval`, `embed` and `similar` do with many pictures besides running them: their classes, a record of what is done that
//! a killed run is resumed from, sums, and files of embeddings.

pub mod index;
pub mod journal;
pub mod labelled;
pub mod report;
pub mod tally;
