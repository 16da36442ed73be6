//! Names of repositories on the hub: `organisation/name`, with a revision (`organisation/name@revision`).

use super::HubError;

/// A model repository at a revision (a branch, a tag or a commit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// `organisation/name`, or `name` alone for the hub's oldest repositories.
    pub name: String,
    /// Branch, tag or commit; `main` if none was named.
    pub revision: String,
}

impl Repository {
    /// From `NAME` or `NAME@REVISION`. A revision given apart wins nothing: both together must agree.
    ///
    /// # Errors
    /// [`HubError::Name`] if it cannot be the name of a repository.
    pub fn parse(text: &str, revision: Option<&str>) -> Result<Self, HubError> {
        let (name, inline) = match text.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (text, None),
        };
        let refuse = |reason: String| Err(HubError::Name { name: text.into(), reason });
        let revision = match (inline, revision) {
            (Some(a), Some(b)) if a != b => return refuse(format!("two revisions, `{a}` and `{b}`: name one")),
            (Some(revision), _) | (None, Some(revision)) => revision,
            (None, None) => "main",
        };
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) || name.contains("--") {
            return refuse("expected `organisation/name`, of letters, digits, `.`, `_` and `-`".into());
        }
        if revision.is_empty() || !revision.split('/').all(is_name) {
            return refuse(format!("`{revision}` cannot be a revision (a branch, a tag or a commit)"));
        }
        Ok(Self { name: name.into(), revision: revision.into() })
    }

    /// Whether the revision is a commit, which never changes its content.
    pub fn is_commit(&self) -> bool {
        is_commit(&self.revision)
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if self.revision != "main" { write!(f, "@{}", self.revision) } else { Ok(()) }
    }
}

/// Whether `text` is a whole commit hash.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

// A part becomes the name of a folder, so nothing that could lead out of the cache may pass.
fn is_name(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('.')
        && !part.ends_with('.')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_revisions() {
        let plain = Repository::parse("timm/mobilenetv2_100.ra_in1k", None).unwrap();
        assert_eq!((plain.name.as_str(), plain.revision.as_str()), ("timm/mobilenetv2_100.ra_in1k", "main"));
        assert_eq!(Repository::parse("google/x@refs/pr/1", None).unwrap().revision, "refs/pr/1");
        assert_eq!(Repository::parse("google/x", Some("v2")).unwrap().to_string(), "google/x@v2");
        assert!(Repository::parse("a/b@0123456789abcdef0123456789abcdef01234567", None).unwrap().is_commit());
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for bad in ["", "a/b/c", "../x", "a/..", "a/b@../../etc", "a b/c", "/a", "a/", "a/b@", "a--b/c", "C:\\x"] {
            assert!(matches!(Repository::parse(bad, None), Err(HubError::Name { .. })), "{bad}");
        }
        assert!(Repository::parse("a/b@v1", Some("v2")).is_err());
    }
}
