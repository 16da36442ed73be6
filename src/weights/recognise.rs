//! Which scheme a file is written in. The schemes claim tensors; the one that claims most is it, and a second one with
//! claims of its own is an error rather than a guess.

use super::architecture::{self, Architecture};
use super::file::File;
use super::names::{closest, renamed};
use super::schemes::{ALL, Part, Scheme};
use super::survey::{Found, Survey};
use super::{Source, head};
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Fewest claimed filters that make a network; fewer are a coincidence.
const FEWEST_FILTERS: usize = 3;

/// What was recognised.
pub(crate) struct Recognised {
    pub scheme: &'static Scheme,
    /// What stands before every name.
    pub prefix: String,
    pub architecture: Architecture,
    pub sources: HashMap<String, Source>,
    /// Tensors that the network does not need, by their names in the file.
    pub unused: Vec<String>,
    pub notes: Vec<String>,
}

pub(crate) fn recognise(file: &File, map: &BTreeMap<String, String>) -> Result<Recognised> {
    if file.tensors.is_empty() {
        return Err(Error::Checkpoint("the file holds no tensors; it is not a model's checkpoint".into()));
    }
    let names = renamed(file, map)?;
    let mut surveys: Vec<Survey> = ALL.iter().copied().flatten().filter_map(|scheme| Survey::new(scheme, &names)).collect();
    surveys.retain(|s| s.filters().count() >= FEWEST_FILTERS);
    surveys.sort_by_key(|s| std::cmp::Reverse(s.claimed().count()));
    let mut surveys = surveys.into_iter();
    let Some(mut survey) = surveys.next() else { return Err(unknown(file)) };
    let claimed: HashSet<usize> = survey.claimed().collect();
    if let Some(other) = surveys.find(|s| s.filters().filter(|i| !claimed.contains(i)).count() >= FEWEST_FILTERS) {
        return Err(two_schemes(&survey, &other, &names));
    }
    let mut notes = Vec::new();
    head::settle(&mut survey, &mut notes);
    refuse_other_networks(&survey, &names)?;
    let built = architecture::build(&survey, file, &names)?;
    notes.extend(built.notes);
    let used: HashSet<usize> = survey.claimed().collect();
    let unused = (0..file.tensors.len()).filter(|i| !used.contains(i)).map(|i| file.tensors[i].name.clone()).collect();
    let (scheme, prefix) = (survey.scheme, survey.names.prefix.to_string());
    Ok(Recognised { scheme, prefix, architecture: built.architecture, sources: built.sources, unused, notes })
}

fn scheme_names() -> String {
    let mut names: Vec<&str> = ALL.iter().copied().flatten().map(|s| s.name).collect();
    names.dedup();
    names.join(", ")
}

fn unknown(file: &File) -> Error {
    let weights = file.tensors.iter().filter(|t| t.is_float() && !t.shape.is_empty());
    let first: Vec<String> = weights.take(5).map(|t| format!("`{}`", shortened(&t.name))).collect();
    Error::Checkpoint(format!(
        "unknown naming scheme: its {} tensors are called {} …; known are {}; rename them with a map (`--map FILE.json`)",
        file.tensors.len(),
        first.join(", "),
        scheme_names()
    ))
}

/// A name for a message, which a damaged file may have made very long.
fn shortened(name: &str) -> String {
    if name.chars().count() <= 80 { name.to_string() } else { name.chars().take(80).chain(['…']).collect() }
}

fn two_schemes(a: &Survey, b: &Survey, names: &[&str]) -> Error {
    let claimed: HashSet<usize> = a.claimed().collect();
    let example = |s: &Survey| s.filters().find(|i| s.scheme.name == a.scheme.name || !claimed.contains(i)).map_or("", |i| names[i]);
    Error::Checkpoint(format!(
        "two networks at once: {} (`{}`) and {} (`{}`); keep the tensors of one",
        a.scheme,
        shortened(a.filters().next().map_or("", |i| names[i])),
        b.scheme,
        shortened(example(b)),
    ))
}

/// Networks that are named like ours but compute more, which their other tensors tell.
fn refuse_other_networks(survey: &Survey, names: &[&str]) -> Result<()> {
    let squeeze = names.iter().find(|name| name.split(['.', '/']).any(|part| matches!(part, "se" | "squeeze_excite")));
    squeeze.map_or(Ok(()), |name| {
        Err(Error::Checkpoint(format!(
            "this is another network than {}: `{}` (squeeze and excitation) is part of neither MobileNet V1 nor V2",
            survey.scheme,
            shortened(name)
        )))
    })
}

/// The error for a tensor that must be there, by the first name it may have.
pub(super) fn missing(survey: &Survey, unit: usize, part: Part, names: &[&str]) -> Error {
    let found = &survey.units[unit];
    let candidates = (survey.scheme.names)(found.unit, part);
    let name = candidates
        .get(usual_form(survey, unit, part))
        .map_or_else(|| format!("{} {part:?}", found.name), |n| format!("{}{n}", survey.names.prefix));
    let claimed: HashSet<usize> = survey.claimed().collect();
    // A misspelt name is among those that nothing claimed; failing that, any neighbour helps.
    let free = names.iter().enumerate().filter(|(i, _)| !claimed.contains(i)).map(|(_, n)| *n);
    let near = free.filter(|n| strsim::levenshtein(&shortened(n), &name) <= 4);
    let hint = match closest(&name, near) {
        none if none.is_empty() => closest(&name, names.iter().copied()),
        hint => hint,
    };
    Error::Tensor { name, message: format!("missing; {} needs it as `{}`{hint}", survey.scheme, described(found.name.as_str(), part)) }
}

/// Which of its possible names such a tensor has elsewhere in the file: frameworks' generations differ.
fn usual_form(survey: &Survey, unit: usize, part: Part) -> usize {
    let kind = std::mem::discriminant(&survey.units[unit].unit);
    let alike = survey.units.iter().filter(|u| std::mem::discriminant(&u.unit) == kind && u.part(part).is_some());
    let form = |u: &Found| (survey.scheme.names)(u.unit, part).into_iter().position(|name| survey.names.find(&[name]).is_some());
    alike.filter_map(form).next().unwrap_or(0)
}

fn described(unit: &str, part: Part) -> String {
    super::schemes::canonical(unit, unit == "logits", part).unwrap_or_else(|| unit.to_string())
}
