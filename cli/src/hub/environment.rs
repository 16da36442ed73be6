//! The environment variables that everyone who uses the hub knows.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the hub and its cache are, and how to ask.
#[derive(Clone)]
pub struct Environment {
    /// `HF_ENDPOINT`, without a slash at its end.
    pub endpoint: String,
    /// `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`.
    pub cache: PathBuf,
    /// `HF_TOKEN`, else the file that `huggingface-cli login` writes.
    pub token: Option<String>,
    /// `HF_HUB_OFFLINE`: never ask the hub.
    pub offline: bool,
    /// Longest wait for an answer about a file (`HF_HUB_ETAG_TIMEOUT`, seconds).
    pub answer_timeout: Duration,
    /// Longest silence within a download (`HF_HUB_DOWNLOAD_TIMEOUT`, seconds).
    pub read_timeout: Duration,
}

// A token is a secret: it is in no message, not even in a debugging one.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("Environment")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &token)
            .field("offline", &self.offline)
            .finish()
    }
}

impl Environment {
    /// From this process's environment variables.
    pub fn from_process() -> Self {
        Self::from_variables(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()), std::env::home_dir().as_deref())
    }

    /// From variables as `variable` gives them.
    fn from_variables(variable: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Self {
        let path = |name| variable(name).map(|value| expand_home(&value, home));
        let caches = path("XDG_CACHE_HOME").unwrap_or_else(|| home.unwrap_or(Path::new(".")).join(".cache"));
        let hf_home = path("HF_HOME").unwrap_or_else(|| caches.join("huggingface"));
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| hf_home.join("hub"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| hf_home.join("token"));
        let token = if variable("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|v| is_true(&v)) {
            None
        } else {
            variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN")).or_else(|| std::fs::read_to_string(token_file).ok())
        };
        let seconds =
            |name, default| Duration::from_secs(variable(name).and_then(|v| v.trim().parse().ok()).filter(|&s| s > 0).unwrap_or(default));
        Self {
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into()).trim_end_matches('/').into(),
            cache,
            token: token.map(|token| token.trim().to_string()).filter(|token| !token.is_empty()),
            offline: ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].iter().any(|name| variable(name).is_some_and(|v| is_true(&v))),
            answer_timeout: seconds("HF_HUB_ETAG_TIMEOUT", 10),
            read_timeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT", 10),
        }
    }
}

// The hub's own Python library takes these four words.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.trim().to_ascii_uppercase().as_str())
}

fn expand_home(value: &str, home: Option<&Path>) -> PathBuf {
    match (value.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.into(),
        (Some(rest), Some(home)) if rest.starts_with(['/', '\\']) => home.join(&rest[1..]),
        _ => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
        Environment::from_variables(&variable, Some(Path::new("/home/me")))
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        assert_eq!(environment(&[]).cache, Path::new("/home/me/.cache/huggingface/hub"));
        assert_eq!(environment(&[("XDG_CACHE_HOME", "/c")]).cache, Path::new("/c/huggingface/hub"));
        assert_eq!(environment(&[("HF_HOME", "~/hf")]).cache, Path::new("/home/me/hf/hub"));
        assert_eq!(environment(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/blobs")]).cache, Path::new("/blobs"));
    }

    #[test]
    fn offline_endpoint_and_token() {
        let plain = environment(&[]);
        assert_eq!((plain.endpoint.as_str(), plain.offline, plain.token), ("https://huggingface.co", false, None));
        let set = environment(&[("HF_ENDPOINT", "http://mirror:8080/"), ("HF_HUB_OFFLINE", "yes"), ("HF_TOKEN", " hf_x\n")]);
        assert_eq!((set.endpoint.as_str(), set.offline, set.token.as_deref()), ("http://mirror:8080", true, Some("hf_x")));
        assert!(!format!("{:?}", environment(&[("HF_TOKEN", "hf_secret")])).contains("hf_secret"));
        assert!(!environment(&[("HF_HUB_OFFLINE", "0")]).offline);
    }
}
