//! A small hub of our own on loopback: names, redirects, ETags and ranges as the real one has them, and the ways in which
//! networks fail. A second server plays the storage that large files are redirected to.

use sha2::Digest;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer, and where it breaks off.
#[derive(Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// After so many bytes of the body the connection is closed.
    pub cut: Option<usize>,
    /// After so many bytes of the body nothing more comes, and the connection stays open.
    pub stall: Option<usize>,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

pub struct Server {
    pub url: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers by `handler`, which is given the request and how many of the same method and path came before it.
    pub fn start(handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (log, handler) = (Arc::new(Mutex::new(Vec::new())), Arc::new(handler));
        let shared = log.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, handler) = (shared.clone(), handler.clone());
                std::thread::spawn(move || answer(&stream, &log, &*handler));
            }
        });
        Self { url, log }
    }
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
    pub fn gets(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|r| r.method == "GET").collect()
    }
}

fn answer(stream: &TcpStream, log: &Mutex<Vec<Request>>, handler: &dyn Fn(&Request, usize) -> Reply) -> Option<()> {
    let request = read_request(stream)?;
    let before = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.iter().filter(|r| r.method == request.method && r.path == request.path).count() - 1
    };
    let reply = handler(&request, before);
    let mut out = stream;
    let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    out.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    if request.method == "HEAD" {
        return Some(());
    }
    let end = reply.cut.or(reply.stall).unwrap_or(reply.body.len());
    out.write_all(&reply.body[..end.min(reply.body.len())]).ok()?;
    out.flush().ok()?;
    if reply.stall.is_some() {
        std::thread::sleep(Duration::from_secs(30));
    }
    Some(())
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = HashMap::new();
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
    Some(Request { method, path, headers })
}

/// The bytes that a request asks for, as storage gives them.
pub fn ranged(request: &Request, content: &[u8]) -> Reply {
    let start: Option<usize> = request.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match start {
        Some(start) if start >= content.len() => Reply::status(416),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            Reply { body: content[start..].to_vec(), ..Reply::status(206).with("Content-Range", range) }
        }
        None => Reply { body: content.to_vec(), ..Reply::status(200) },
    }
}

pub fn sha256(content: &[u8]) -> String {
    hex(&sha2::Sha256::digest(content))
}

pub fn git_sha1(content: &[u8]) -> String {
    let mut digest = sha1::Sha1::new();
    digest.update(format!("blob {}\0", content.len()));
    digest.update(content);
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes that compress badly and differ everywhere.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// `org/net` with a small file in git and a large one in storage, as the real hub answers for them.
pub fn hub_answer(request: &Request, config: &[u8], weights: &[u8], storage: &str) -> Reply {
    let known = |reply: Reply| reply.with("X-Repo-Commit", COMMIT);
    let path = request.path.as_str();
    if let Some(rest) = path.strip_prefix("/org/net/resolve/") {
        let (revision, file) = rest.split_once('/').unwrap();
        if !["main", "v1", COMMIT].contains(&revision) {
            return Reply::status(404).with("X-Error-Code", "RevisionNotFound");
        }
        return match file {
            "config.json" => known(Reply::status(307)).with("Location", format!("/api/resolve-cache/models/org/net/{COMMIT}/config.json")),
            "model.safetensors" => known(Reply::status(302))
                .with("X-Linked-Etag", format!("\"{}\"", sha256(weights)))
                .with("X-Linked-Size", weights.len())
                .with("Location", format!("{storage}/blob?signed=yes")),
            _ => known(Reply::status(404)).with("X-Error-Code", "EntryNotFound"),
        };
    }
    if path.starts_with("/api/resolve-cache/") {
        return known(ranged(request, config)).with("ETag", format!("\"{}\"", git_sha1(config)));
    }
    Reply::status(404).with("X-Error-Code", "RepoNotFound")
}
