//! What a model's classes are called: ImageNet's names and WordNet ids, or a checkpoint's own.

use std::borrow::Cow;
use std::sync::OnceLock;

/// Names of a model's classes, by the model's own output index.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    names: Vec<Cow<'static, str>>,
    /// Index of the first class that ImageNet's list has, where these are ImageNet's classes.
    imagenet: Option<usize>,
}

/// ImageNet's 1,000 class names (synsets, comma-separated synonyms), in class order. See `README.md` for source and licence.
fn imagenet_names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| include_str!("imagenet_1000.txt").lines().collect())
}

/// Their WordNet ids, `n01440764` and so on, in class order.
pub fn imagenet_wnids() -> &'static [&'static str] {
    static WNIDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    WNIDS.get_or_init(|| include_str!("imagenet_wnids_1000.txt").lines().collect())
}

impl Labels {
    /// ImageNet's 1,000 classes, after a class `background` if `background`.
    pub fn imagenet(background: bool) -> Self {
        let first = background.then_some("background");
        let names = first.into_iter().chain(imagenet_names().iter().copied()).map(Cow::Borrowed).collect();
        Self { names, imagenet: Some(usize::from(background)) }
    }
    /// Names of a model's own; where they are ImageNet's they get its WordNet ids.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<Cow<'static, str>> = names.into_iter().map(|n| Cow::Owned(n.into())).collect();
        let imagenet = names.len().checked_sub(imagenet_names().len()).filter(|first| {
            // Lists differ in a few spellings, and some keep the first synonym alone.
            let own = names.iter().skip(*first).map(|n| first_synonym(n));
            *first <= 1 && own.zip(imagenet_names()).filter(|(a, b)| a.eq_ignore_ascii_case(first_synonym(b))).count() >= 900
        });
        Self { names, imagenet }
    }
    /// The label of output `index`, and its WordNet id if it is one of ImageNet's classes. An output without a name is
    /// called by its index.
    pub fn get(&self, index: usize) -> (Cow<'_, str>, Option<&'static str>) {
        let label = match self.names.get(index) {
            Some(name) => Cow::Borrowed(name.as_ref()),
            None => Cow::Owned(format!("class {index}")),
        };
        let wnid = self.imagenet.and_then(|first| index.checked_sub(first)).and_then(|i| imagenet_wnids().get(i).copied());
        (label, wnid)
    }
    /// The output whose label, or WordNet id, or first or other comma-separated synonym is `name`, in any case; the first one where
    /// several are as good a match ([`find_all`](Self::find_all) has them all).
    pub fn find(&self, name: &str) -> Option<usize> {
        self.find_all(name).first().copied()
    }

    /// All outputs that `name` means: those whose label it is, else whose WordNet id, else whose first synonym, else whose any synonym.
    /// ImageNet has two `crane`s and several `panda`s.
    pub fn find_all(&self, name: &str) -> Vec<usize> {
        let name = name.trim();
        let of = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
            self.names.iter().enumerate().filter(|(_, label)| is(label)).map(|(index, _)| index).collect()
        };
        let wnid = || self.imagenet.and_then(|first| imagenet_wnids().iter().position(|w| *w == name).map(|i| i + first));
        // One after another: a list of labels has a thousand names, a data set fifty thousand lines.
        let ways: [&dyn Fn() -> Vec<usize>; 4] = [
            &|| of(&|label| label.eq_ignore_ascii_case(name)),
            &|| wnid().into_iter().collect(),
            &|| of(&|label| first_synonym(label).eq_ignore_ascii_case(name)),
            &|| of(&|label| label.split(',').any(|s| s.trim().eq_ignore_ascii_case(name))),
        ];
        ways.into_iter().map(|way| way()).find(|found| !found.is_empty()).unwrap_or_default()
    }
    /// How many outputs have a name.
    pub fn len(&self) -> usize {
        self.names.len()
    }
    /// Whether no output has a name.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
    /// Whether the classes are ImageNet's 1,000 (with or without a background class).
    pub fn is_imagenet(&self) -> bool {
        self.imagenet.is_some()
    }
}

fn first_synonym(name: &str) -> &str {
    name.split(',').next().unwrap_or(name).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imagenet_has_names_and_ids() {
        let labels = Labels::imagenet(false);
        assert_eq!((labels.len(), imagenet_wnids().len()), (1000, 1000));
        assert_eq!(labels.get(285), ("Egyptian cat".into(), Some("n02124075")));
        let labels = Labels::imagenet(true);
        assert_eq!(labels.get(0), ("background".into(), None));
        assert_eq!(labels.get(286), ("Egyptian cat".into(), Some("n02124075")));
        assert_eq!(labels.get(1001), ("class 1001".into(), None));
    }

    #[test]
    fn own_lists_of_imagenet_are_known() {
        let names = || imagenet_names().iter().map(|n| first_synonym(n).to_string());
        assert_eq!(Labels::new(names()).get(285).1, Some("n02124075"));
        assert_eq!(Labels::new(std::iter::once("background".to_string()).chain(names())).get(286).1, Some("n02124075"));
        assert_eq!(Labels::new(["cat", "dog"]).get(1), ("dog".into(), None));
    }

    #[test]
    fn labels_are_found_by_any_of_their_names() {
        let labels = Labels::imagenet(true);
        for name in ["Egyptian cat", "egyptian CAT", "n02124075"] {
            assert_eq!(labels.find(name), Some(286), "{name}");
        }
        assert_eq!(labels.find("Tinca tinca"), Some(1));
        // The first synonym before others: spiny lobsters are crayfish too, and bathtubs tubs.
        let labels = Labels::imagenet(false);
        assert_eq!(["crayfish", "gong", "tub"].map(|name| labels.find(name)), [Some(124), Some(577), Some(876)]);
        assert_eq!([labels.find_all("crane"), labels.find_all("panda")], [vec![134, 517], vec![387, 388]]);
        assert_eq!(labels.find("no such thing"), None);
    }
}
