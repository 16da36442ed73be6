//! Which tensors of a file a scheme claims: its units and their parts, block by block.

use super::names::Names;
use super::schemes::{Block, Part, Scheme, Unit};
use crate::model::Version;

/// A unit and the tensors found for its parts, by index in the file.
pub(super) struct Found {
    pub unit: Unit,
    /// Our name of it, `block3.expand`.
    pub name: String,
    parts: [Option<usize>; Part::ALL.len()],
}

impl Found {
    pub fn part(&self, part: Part) -> Option<usize> {
        Part::ALL.iter().position(|p| *p == part).and_then(|i| self.parts[i])
    }
    pub fn set(&mut self, part: Part, tensor: usize) {
        if let Some(i) = Part::ALL.iter().position(|p| *p == part) {
            self.parts[i] = Some(tensor);
        }
    }
    /// Gives its tensors up.
    pub fn clear(&mut self) {
        self.parts = [None; Part::ALL.len()];
    }
    pub fn is_there(&self) -> bool {
        self.parts.iter().any(Option::is_some)
    }
}

/// What a scheme finds in a file.
pub(super) struct Survey<'a> {
    pub scheme: &'static Scheme,
    pub names: Names<'a>,
    pub blocks: Vec<Block>,
    /// Stem, blocks' units, last, logits, in this order; last and logits may have no tensors.
    pub units: Vec<Found>,
}

impl<'a> Survey<'a> {
    pub fn new(scheme: &'static Scheme, file_names: &[&'a str]) -> Option<Self> {
        let names = Names::for_scheme(scheme, file_names)?;
        let blocks = find_blocks(scheme, &names);
        let mut units = vec![find(scheme, &names, Unit::Stem, "stem".into())];
        let project = if scheme.version == Version::V1 { "pointwise" } else { "project" };
        for (i, block) in blocks.iter().enumerate() {
            let mut push = |unit, part: &str| units.push(find(scheme, &names, unit, format!("block{}.{part}", i + 1)));
            if block.expanded {
                push(Unit::Expand(*block), "expand");
            }
            push(Unit::Depthwise(*block), "depthwise");
            push(Unit::Project(*block), project);
        }
        let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX - 1);
        units.push(find(scheme, &names, Unit::Last(count), "last".into()));
        units.push(find(scheme, &names, Unit::Logits, "logits".into()));
        Some(Self { scheme, names, blocks, units })
    }
    /// Tensors that are claimed, each once.
    pub fn claimed(&self) -> impl Iterator<Item = usize> {
        self.units.iter().flat_map(|u| u.parts.iter().flatten().copied())
    }
    /// Filters that are claimed: what tells a network from a coincidence.
    pub fn filters(&self) -> impl Iterator<Item = usize> {
        self.units.iter().filter_map(|u| u.part(Part::Filters))
    }
}

fn find(scheme: &Scheme, names: &Names, unit: Unit, name: String) -> Found {
    Found { unit, name, parts: Part::ALL.map(|part| names.find(&(scheme.names)(unit, part))) }
}

/// The names of a block's tensors with and without an expansion.
fn block_names(scheme: &Scheme, stage: u32, index: u32, expanded: bool) -> Vec<String> {
    let block = Block { stage, index, expanded };
    let units = [expanded.then_some(Unit::Expand(block)), Some(Unit::Depthwise(block)), Some(Unit::Project(block))];
    units.into_iter().flatten().flat_map(|unit| Part::ALL.into_iter().flat_map(move |part| (scheme.names)(unit, part))).collect()
}

/// The block at this place, if any of its tensors is there.
fn find_block(scheme: &Scheme, names: &Names, stage: u32, index: u32) -> Option<Block> {
    let plain = block_names(scheme, stage, index, false);
    let expanded = scheme.version == Version::V2 && {
        // In some schemes the two kinds share names for different things; what only the expanded one has decides.
        let own: Vec<String> = block_names(scheme, stage, index, true).into_iter().filter(|n| !plain.contains(n)).collect();
        names.find(&own).is_some()
    };
    (expanded || names.find(&plain).is_some()).then_some(Block { stage, index, expanded })
}

/// All blocks in order. A block that is gone with all its tensors, but has others behind it, is listed all the same: its
/// tensors are then missing.
fn find_blocks(scheme: &Scheme, names: &Names) -> Vec<Block> {
    const LOOK_AHEAD: u32 = 3;
    const MOST: u32 = 4096;
    let mut blocks = Vec::new();
    for stage in 0..MOST {
        let before = blocks.len();
        for index in 0..MOST {
            match find_block(scheme, names, stage, index) {
                Some(block) => blocks.push(block),
                None if (1..=LOOK_AHEAD).any(|k| find_block(scheme, names, stage, index + k).is_some()) => {
                    blocks.push(Block { stage, index, expanded: false });
                }
                None => break,
            }
        }
        if blocks.len() == before {
            let more = scheme.staged && (1..=LOOK_AHEAD).any(|k| find_block(scheme, names, stage + k, 0).is_some());
            if !more {
                break;
            }
            blocks.push(Block { stage, index: 0, expanded: false });
        }
        if !scheme.staged {
            break;
        }
    }
    blocks
}
