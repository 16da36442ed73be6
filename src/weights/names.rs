//! Names as they are in files, and as schemes know them: renamed by the user's map, without `:0` and a common prefix.

use super::file::{File, FileTensor};
use super::schemes::Scheme;
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap};

/// Names beyond which the closest one is not looked for: comparing is quadratic in their length.
const MOST_COMPARED: usize = 20_000;
const LONGEST_COMPARED: usize = 200;
/// Different prefixes that are weighed against each other.
const MOST_PREFIXES: usize = 64;

/// The tensors' names after the user's map and without TensorFlow's `:0`, in the file's order.
pub(super) fn renamed<'a>(file: &'a File, map: &'a BTreeMap<String, String>) -> Result<Vec<&'a str>> {
    let missing = map.keys().find(|from| !file.tensors.iter().any(|t| t.name == **from || bare(&t.name) == **from));
    if let Some(from) = missing {
        let message = format!("no tensor is called `{from}`{}", closest(from, file.tensors.iter().map(|t| t.name.as_str())));
        return Err(Error::Option { option: "map", message });
    }
    let rename = |t: &'a FileTensor| map.get(&t.name).or_else(|| map.get(bare(&t.name))).map_or(bare(&t.name), |to| bare(to));
    Ok(file.tensors.iter().map(rename).collect())
}

fn bare(name: &str) -> &str {
    name.strip_suffix(":0").unwrap_or(name)
}

/// What a scheme sees of a file: names without the prefix, and where they stand.
pub(super) struct Names<'a> {
    pub prefix: &'a str,
    index: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    /// The names for `scheme`, whose prefix is told by its signature; `None` if no name of the signature is there.
    pub fn for_scheme(scheme: &Scheme, names: &[&'a str]) -> Option<Self> {
        let mut votes: Vec<(&'a str, usize)> = Vec::new();
        for name in names {
            for anchor in scheme.signature {
                let Some(prefix) = name.strip_suffix(anchor) else { continue };
                if !prefix.is_empty() && !prefix.ends_with(scheme.separators) {
                    continue;
                }
                match votes.iter().position(|(p, _)| *p == prefix) {
                    Some(at) => votes[at].1 += 1,
                    None if votes.len() < MOST_PREFIXES => votes.push((prefix, 1)),
                    None => {}
                }
            }
        }
        // Of equals the shorter: `features.…` rather than an average of it under `ema.features.…`.
        let (prefix, _) = votes.into_iter().min_by_key(|(p, n)| (std::cmp::Reverse(*n), p.len()))?;
        let mut index = HashMap::with_capacity(names.len());
        // Names under the prefix first; a classifier may stand outside it, under a part of it.
        for whole in [true, false] {
            for (i, name) in names.iter().enumerate() {
                if name.starts_with(prefix) == whole {
                    index.entry(without(name, prefix, scheme.separators)).or_insert(i);
                }
            }
        }
        Some(Self { prefix, index })
    }
    /// The first of these names that is there.
    pub fn find(&self, candidates: &[String]) -> Option<usize> {
        candidates.iter().find_map(|name| self.index.get(name.as_str()).copied())
    }
    /// Every name with its tensor.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, usize)> {
        self.index.iter().map(|(name, i)| (*name, *i))
    }
}

/// `name` without the longest leading part of `prefix` that it shares.
fn without<'a>(name: &'a str, prefix: &str, separators: &[char]) -> &'a str {
    let mut part = prefix;
    loop {
        if let Some(rest) = name.strip_prefix(part) {
            return rest;
        }
        let trimmed = part.strip_suffix(separators).unwrap_or(part);
        part = trimmed.rfind(separators).map_or("", |at| &trimmed[..=at]);
    }
}

/// `; the closest is …`, or nothing.
pub(super) fn closest<'a>(name: &str, there: impl Iterator<Item = &'a str>) -> String {
    if name.len() > LONGEST_COMPARED {
        return String::new();
    }
    let candidates = there.filter(|n| n.len() <= LONGEST_COMPARED).take(MOST_COMPARED);
    let best = candidates.map(|n| (strsim::levenshtein(name, n), n)).min();
    match best {
        Some((distance, best)) if distance <= name.len().max(best.len()) * 2 / 3 => format!("; the closest name there is `{best}`"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_prefixes_are_taken_off() {
        let dots = &['.', '/'];
        assert_eq!(without("module.mobilenet_v1.layer", "module.mobilenet_v1.", dots), "layer");
        assert_eq!(without("module.classifier", "module.mobilenet_v1.", dots), "classifier");
        assert_eq!(without("classifier", "module.mobilenet_v1.", dots), "classifier");
        assert_eq!(without("b", "", dots), "b");
    }

    #[test]
    fn closest_is_a_hint_only_where_near() {
        assert_eq!(closest("conv1.weight", ["conv1.weigth", "b"].into_iter()), "; the closest name there is `conv1.weigth`");
        assert_eq!(closest("conv1.weight", ["xyz"].into_iter()), "");
    }
}
