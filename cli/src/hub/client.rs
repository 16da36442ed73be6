//! The two questions that are put to the hub: what a file is (`HEAD`), and its bytes from some place on (`GET` with a range).
//!
//! Redirects are followed by hand, as two things depend on them: what the hub says about a large file (`X-Linked-Etag`) is in the
//! answer that redirects to another host, and the token goes to the hub and to nobody else.

use super::{Environment, HubError, Repository};
use std::io::Read;
use std::time::Duration;
use ureq::http::{HeaderMap, Method, Response, header};
use ureq::{Agent, Body};

/// What the hub says about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The commit that the revision stands at.
    pub commit: String,
    /// Name of the content: SHA-256 or git's SHA-1, in hexadecimal.
    pub etag: String,
    /// Bytes.
    pub size: Option<u64>,
}

/// A file's bytes as they come in.
pub struct Stream {
    /// Where the bytes begin: 0 if the server would not go on in the middle.
    pub start: u64,
    /// The whole file's length, if the server says it.
    pub total: Option<u64>,
    body: ureq::BodyReader<'static>,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.body.read(buffer)
    }
}

/// A connection to the hub.
pub struct Client {
    agent: Agent,
    environment: Environment,
}

const MAX_REDIRECTS: usize = 10;

impl Client {
    /// A client for the hub that `environment` names.
    ///
    /// # Errors
    /// [`HubError::File`] if the certificates that `SSL_CERT_FILE` names cannot be read.
    pub fn new(environment: &Environment) -> Result<Self, HubError> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("mobilenet-wgpu/", env!("CARGO_PKG_VERSION")))
            // Lengths must be those of the file, so nothing may be compressed on the way.
            .accept_encoding("identity")
            .timeout_connect(Some(environment.answer_timeout))
            .timeout_recv_response(Some(environment.answer_timeout.max(environment.read_timeout)))
            .timeout_per_read(Some(environment.read_timeout))
            .tls_config(tls()?)
            .build();
        Ok(Self { agent: config.new_agent(), environment: environment.clone() })
    }

    /// What the hub says about `file`.
    ///
    /// # Errors
    /// Not found, refused, busy, unreachable, or not a hub's answer.
    pub fn metadata(&self, repository: &Repository, file: &str) -> Result<Metadata, HubError> {
        let answer = self.request(&Method::HEAD, repository, &repository.revision, file, None)?;
        let missing = |name: &str| HubError::Protocol {
            what: format!("{repository}/{file}"),
            endpoint: self.environment.endpoint.clone(),
            message: format!("no `{name}` in its answer (HTTP {})", answer.status),
        };
        let etag = answer.linked("x-linked-etag").or_else(|| answer.last("etag")).ok_or_else(|| missing("ETag"))?;
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_string();
        // The ETag becomes a file's name.
        if etag.is_empty() || !etag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) || etag.starts_with('.') {
            return Err(missing("usable ETag"));
        }
        let commit =
            answer.linked("x-repo-commit").filter(|commit| super::name::is_commit(commit)).ok_or_else(|| missing("X-Repo-Commit"))?;
        let length = if answer.redirects { None } else { answer.last("content-length") };
        let size = answer.linked("x-linked-size").or(length).and_then(|size| size.parse().ok());
        Ok(Metadata { commit: commit.into(), etag, size })
    }

    /// The bytes of `file` at `commit`, from `start` on if the server can.
    ///
    /// # Errors
    /// As [`Client::metadata`].
    pub fn open(&self, repository: &Repository, commit: &str, file: &str, start: u64) -> Result<Stream, HubError> {
        let range = (start > 0).then(|| format!("bytes={start}-"));
        let answer = self.request(&Method::GET, repository, commit, file, range.as_deref())?;
        let (from, total) = match (answer.status, answer.last("content-range").and_then(parse_range)) {
            (206, Some((from, total))) => (from, total),
            (206, None) => return Err(self.protocol(repository, file, "a part without `Content-Range`")),
            _ => (0, answer.last("content-length").and_then(|length| length.parse().ok())),
        };
        if from != 0 && from != start {
            return Err(self.protocol(repository, file, &format!("asked for bytes from {start}, got them from {from}")));
        }
        let body = answer.response.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(Stream { start: from, total, body })
    }

    fn protocol(&self, repository: &Repository, file: &str, message: &str) -> HubError {
        HubError::Protocol { what: format!("{repository}/{file}"), endpoint: self.environment.endpoint.clone(), message: message.into() }
    }

    fn request(
        &self,
        method: &Method,
        repository: &Repository,
        revision: &str,
        file: &str,
        range: Option<&str>,
    ) -> Result<Answer, HubError> {
        let endpoint = &self.environment.endpoint;
        let mut url = format!(
            "{endpoint}/{}/resolve/{}/{}",
            repository.name,
            escape(revision),
            file.split('/').map(escape).collect::<Vec<_>>().join("/")
        );
        let mut hops: Vec<HeaderMap> = Vec::new();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(method, &url, range).map_err(|error| HubError::Network {
                what: format!("{repository}/{file}"),
                endpoint: endpoint.clone(),
                message: describe(&error),
            })?;
            let status = response.status().as_u16();
            let location =
                response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(|location| join(&url, location));
            hops.push(response.headers().clone());
            match location {
                Some(next) if (300..400).contains(&status) => {
                    // What follows is the storage's answer, which knows nothing of the hub's names.
                    if *method == Method::HEAD && hops.last().is_some_and(|hop| hop.contains_key("x-linked-etag")) {
                        return Ok(Answer { status, hops, redirects: true, response });
                    }
                    if url.starts_with("https://") && !next.starts_with("https://") {
                        return Err(self.protocol(repository, file, "a redirect from https to something else"));
                    }
                    url = next;
                }
                _ => return self.judge(Answer { status, hops, redirects: false, response }, repository, revision, file),
            }
        }
        Err(self.protocol(repository, file, &format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn send(&self, method: &Method, url: &str, range: Option<&str>) -> Result<Response<Body>, ureq::Error> {
        let mut request = if *method == Method::HEAD { self.agent.head(url) } else { self.agent.get(url) };
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        if let Some(token) = self.environment.token.as_ref().filter(|_| origin(url) == origin(&self.environment.endpoint)) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.call()
    }

    fn judge(&self, answer: Answer, repository: &Repository, revision: &str, file: &str) -> Result<Answer, HubError> {
        let endpoint = self.environment.endpoint.clone();
        let (what, status) = (format!("{repository}/{file}"), answer.status);
        let code = answer.linked("x-error-code").unwrap_or_default();
        match status {
            200..=299 => Ok(answer),
            401 | 403 | 404 if code == "RepoNotFound" || (status == 404 && code.is_empty()) => Err(HubError::NotFound {
                what: if code.is_empty() { what } else { repository.name.clone() },
                endpoint,
                hint: "is the name spelled as on the hub? A private one needs HF_TOKEN. `mobilenet models` lists known names".into(),
            }),
            404 if code == "RevisionNotFound" => Err(HubError::NotFound {
                what: format!("revision `{revision}` of {}", repository.name),
                endpoint,
                hint: "name a branch, a tag or a commit of it".into(),
            }),
            404 => Err(HubError::NotFound { what, endpoint, hint: "the repository has no such file".into() }),
            401 | 403 => Err(HubError::Refused {
                what: repository.name.clone(),
                endpoint,
                status,
                hint: access_hint(code, self.environment.token.is_some(), repository),
            }),
            408 | 429 | 500..=599 => Err(HubError::Busy {
                what,
                endpoint,
                status,
                retry_after: answer.last("retry-after").and_then(|s| s.trim().parse().ok()).map(Duration::from_secs),
            }),
            _ => Err(self.protocol(repository, file, &format!("HTTP {status}"))),
        }
    }
}

/// The last answer of a chain of redirects, with the headers of all of them.
struct Answer {
    status: u16,
    hops: Vec<HeaderMap>,
    /// Whether the last one was a redirect that was not followed.
    redirects: bool,
    response: Response<Body>,
}

impl Answer {
    /// A header of the hub's own, which the first answer that has it states.
    fn linked(&self, name: &str) -> Option<&str> {
        self.hops.iter().find_map(|hop| hop.get(name)).and_then(|value| value.to_str().ok())
    }
    /// A header of the last answer.
    fn last(&self, name: &str) -> Option<&str> {
        self.hops.last().and_then(|hop| hop.get(name)).and_then(|value| value.to_str().ok())
    }
}

fn access_hint(code: &str, has_token: bool, repository: &Repository) -> String {
    if code == "GatedRepo" {
        format!("accept its terms on the page of {} and set HF_TOKEN", repository.name)
    } else if has_token {
        "the token (HF_TOKEN or the token file) is not valid for it".into()
    } else {
        "is the name spelled as on the hub? A private one needs HF_TOKEN".into()
    }
}

/// `scheme://host:port` of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    &url[..url[host..].find(['/', '?', '#']).map_or(url.len(), |end| host + end)]
}

/// Where a `Location` leads that was answered for `url`.
fn join(url: &str, location: &str) -> String {
    if location.contains("://") {
        location.into()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{}://{rest}", url.split("://").next().unwrap_or("https"))
    } else if location.starts_with('/') {
        format!("{}{location}", origin(url))
    } else {
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let folder = path.rfind('/').filter(|&at| at >= origin(url).len()).map_or(path, |at| &path[..at]);
        format!("{folder}/{location}")
    }
}

/// `bytes 10-99/100` as (10, 100).
fn parse_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn escape(part: impl AsRef<str>) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"._-~".contains(&b);
    part.as_ref().bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host name is not known (no network, or no name service?)".into(),
        ureq::Error::Timeout(_) => {
            format!("{error}: no answer in time (HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT set how long to wait)")
        }
        _ => error.to_string(),
    }
}

// rustls needs a C compiler to be built, so where the system brings TLS of its own, that is used.
fn tls() -> Result<ureq::tls::TlsConfig, HubError> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider};
    let system = cfg!(any(windows, target_vendor = "apple"));
    let builder = TlsConfig::builder().provider(if system { TlsProvider::NativeTls } else { TlsProvider::Rustls });
    let file = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].iter().find_map(std::env::var_os).filter(|file| !file.is_empty());
    let Some(file) = file else {
        return Ok(builder.root_certs(if system { RootCerts::PlatformVerifier } else { RootCerts::WebPki }).build());
    };
    let text = std::fs::read(&file).map_err(|error| HubError::file(&file, &error))?;
    let certificates = ureq::tls::parse_pem(&text).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    Ok(builder.root_certs(certificates.into()).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let url = "http://hub:80/a/b?c=/d";
        assert_eq!(origin(url), "http://hub:80");
        assert_eq!(join(url, "/x?y"), "http://hub:80/x?y");
        assert_eq!(join(url, "https://cdn/x"), "https://cdn/x");
        assert_eq!(join(url, "//cdn/x"), "http://cdn/x");
        assert_eq!(join(url, "x"), "http://hub:80/a/x");
    }

    #[test]
    fn ranges_and_names_in_urls() {
        assert_eq!(parse_range("bytes 10-99/100"), Some((10, Some(100))));
        assert_eq!(parse_range("bytes 10-99/*"), Some((10, None)));
        assert_eq!(parse_range("items 1-2/3"), None);
        assert_eq!(escape("refs/pr/1"), "refs%2Fpr%2F1");
    }
}
