//! What `classify`, `eval`, `embed` and `similar` do with many pictures besides running them: their classes, a record of what is
//! done that a killed run is resumed from, and of which run it is, sums, and files of embeddings.

pub mod identity;
pub mod index;
pub mod journal;
pub mod labelled;
pub mod report;
pub mod tally;
