//! Pictures with their classes: a folder with a folder for each class, or a CSV of `path,label`.
//!
//! A class is named by a label or one of its synonyms, by a WordNet id, or by its number in the data set, which does not count a
//! background class.

use crate::failure::{Failure, Outcome, tell};
use crate::pictures::{self, Place};
use mobilenet_wgpu::Model;
use std::path::{Path, PathBuf};

/// Pictures in the order of the list, each with the model's output that is right for it.
pub struct Labelled {
    pub places: Vec<Place>,
    pub classes: Vec<usize>,
    /// Classes whose folders hold no pictures.
    pub empty: Vec<usize>,
}

/// What `path` holds, by the names of the model's classes.
pub fn list(path: &Path, model: &Model) -> Outcome<Labelled> {
    let names = Names { model };
    let labelled = if path.is_dir() { folders(path, &names)? } else { csv(path, &names)? };
    if labelled.places.is_empty() {
        return Err(Failure::new(format!("{}: holds no pictures", path.display())));
    }
    Ok(labelled)
}

/// The classes of a model, found by any of their names.
struct Names<'a> {
    model: &'a Model,
}

impl Names<'_> {
    /// The class of a name, `None` where there is none, and what to say where there are several.
    fn find(&self, name: &str) -> Result<Option<usize>, String> {
        let labels = self.model.labels();
        let found = [name, &name.replace('_', " ")].into_iter().map(|name| labels.find_all(name)).find(|found| !found.is_empty());
        match found.as_deref() {
            None => Ok(self.number(name)),
            Some([class]) => Ok(Some(*class)),
            Some(several) => {
                let first = usize::from(self.model.recognition().background_class);
                let one = |class: &usize| match labels.get(*class) {
                    (label, Some(wnid)) => format!("{wnid} ({label})"),
                    (label, None) => format!("{} ({label})", class.saturating_sub(first)),
                };
                let several: Vec<String> = several.iter().map(one).collect();
                Err(format!("`{name}` may be {}\nnext: name it by WordNet id or by number", several.join(" or ")))
            }
        }
    }
    fn number(&self, name: &str) -> Option<usize> {
        let recognition = self.model.recognition();
        let first = usize::from(recognition.background_class);
        let index = name.trim().parse::<usize>().ok()?.checked_add(first)?;
        recognition.classes.is_none_or(|classes| index < classes as usize).then_some(index)
    }
    /// What to do about a name that is no class.
    fn hint(&self) -> String {
        let labels = self.model.labels();
        let some: Vec<_> = (0..labels.len().min(3)).map(|i| labels.get(i).0.into_owned()).collect();
        let known = if some.is_empty() {
            "the model names no classes, so only numbers can be used".into()
        } else {
            format!("such as {}", some.join("; "))
        };
        format!("next: name it as the model does ({known}), by WordNet id or by number; --labels FILE names a model's classes")
    }
}

fn folders(root: &Path, names: &Names<'_>) -> Outcome<Labelled> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: cannot be read: {error}", root.display()));
    let entries = std::fs::read_dir(root).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut folders: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).filter(|path| path.is_dir()).collect();
    folders.retain(|path| !pictures::is_hidden(path));
    folders.sort();
    if folders.is_empty() {
        return Err(Failure::new(format!("{}: expected a folder for each class in it, or a CSV of path,label", root.display())));
    }
    let mut labelled = Labelled { places: Vec::new(), classes: Vec::new(), empty: Vec::new() };
    for folder in folders {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let class = names.find(&name).map_err(|why| Failure::new(format!("{}: {why}", folder.display())))?;
        let places = pictures::below(&folder)?;
        if places.is_empty() {
            tell(&format!("note: {}: holds no pictures", folder.display()));
            labelled.empty.extend(class);
            continue;
        }
        let class =
            class.ok_or_else(|| Failure::new(format!("{}: `{name}` is no class of the model\n{}", folder.display(), names.hint())))?;
        labelled.classes.extend(std::iter::repeat_n(class, places.len()));
        labelled.places.extend(places);
    }
    Ok(labelled)
}

/// What stands over the labels where a CSV has headings.
const HEADINGS: [&str; 5] = ["label", "class", "wnid", "target", "category"];

fn csv(path: &Path, names: &Names<'_>) -> Outcome<Labelled> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{}: cannot be read as a CSV of path,label: {error}", path.display())))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut labelled = Labelled { places: Vec::new(), classes: Vec::new(), empty: Vec::new() };
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let fields = fields(line);
        let at = |message: String| Failure::new(format!("{}, line {}: {message}", path.display(), number + 1));
        match &fields[..] {
            _ if line.trim().is_empty() => {}
            [file, label] => match names.find(label).map_err(at)? {
                Some(class) => {
                    labelled.places.push(Place::File(folder.join(file)));
                    labelled.classes.push(class);
                }
                None if number == 0 && HEADINGS.iter().any(|heading| label.eq_ignore_ascii_case(heading)) => {}
                None => return Err(at(format!("`{label}` is no class of the model\n{}", names.hint()))),
            },
            _ => return Err(at(format!("expected path,label, found {} fields", fields.len()))),
        }
    }
    Ok(labelled)
}

/// The fields of a line of CSV; a field in double quotes may hold commas, and quotes twice.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field).trim().to_string()),
            _ => field.push(letter),
        }
    }
    fields.push(field.trim().to_string());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_csv() {
        assert_eq!(fields("a/b.jpg, cat"), ["a/b.jpg", "cat"]);
        assert_eq!(fields(r#""a, b.jpg","tench, ""Tinca"" tinca""#), ["a, b.jpg", r#"tench, "Tinca" tinca"#]);
        assert_eq!(fields("one"), ["one"]);
    }
}
