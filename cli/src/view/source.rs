//! What is looked at: a picture, a folder one after the other, or a video that comes as raw frames through a pipe.

use crate::failure::{Failure, Outcome, tell};
use crate::pictures::{self, Place};
use mobilenet_wgpu::Picture;
use mobilenet_wgpu::picture::DecodeLimits;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// RGBA pixels, width and height.
pub struct Pixels {
    pub size: [u32; 2],
    pub rgba: Vec<u8>,
}

/// Where pictures come from.
pub enum Source {
    Slides(Slides),
    Video(Video),
}

/// Pictures one after the other.
pub struct Slides {
    places: Vec<Place>,
    at: usize,
    every: Duration,
    since: Instant,
    shown: Option<usize>,
    /// Why the picture at hand cannot be shown.
    error: Option<String>,
}

/// Raw RGBA frames from standard input; what comes faster than it is shown is left out.
pub struct Video {
    size: [u32; 2],
    latest: Arc<Mutex<Latest>>,
}

#[derive(Default)]
struct Latest {
    frame: Option<Vec<u8>>,
    /// A buffer to be filled again.
    spare: Option<Vec<u8>>,
    frames: u64,
    ended: Option<String>,
}

impl Source {
    /// What a path means; `-` is a video on standard input, of `frame` pixels.
    pub fn open(path: &Path, frame: Option<[u32; 2]>, every: Duration) -> Outcome<Self> {
        if path == Path::new("-") {
            let size =
                frame.ok_or_else(|| Failure::new("`-` is a video of raw RGBA frames: how large are they?\nnext: --frame-size 640x480"))?;
            return Ok(Source::Video(Video::new(size)));
        }
        if !path.exists() {
            return Err(Failure::new(format!("{}: there is no such picture or folder", path.display())));
        }
        let places = pictures::list(&[path.to_path_buf()])?;
        Ok(Source::Slides(Slides { places, at: 0, every, since: Instant::now(), shown: None, error: None }))
    }

    /// A picture that was not shown yet, if there is one now.
    pub fn next(&mut self, paused: bool) -> Option<Pixels> {
        match self {
            Source::Slides(slides) => slides.next(paused),
            Source::Video(video) => video.next(),
        }
    }

    /// Gives a frame's memory back to be filled again.
    pub fn recycle(&mut self, rgba: Vec<u8>) {
        if let Source::Video(video) = self {
            video.lock().spare = Some(rgba);
        }
    }

    /// Goes to another picture of a folder; by 0, gives the same one again.
    pub fn step(&mut self, by: isize) {
        if let Source::Slides(slides) = self {
            slides.step(by);
        }
    }

    /// What is shown, and what is wrong with it.
    pub fn caption(&self) -> (String, Option<String>) {
        match self {
            Source::Slides(s) => {
                let number = if s.places.len() > 1 { format!("  ({} of {})", s.at + 1, s.places.len()) } else { String::new() };
                (format!("{}{number}", s.places[s.at]), s.error.clone())
            }
            Source::Video(video) => {
                let latest = video.lock();
                (format!("video {}x{}, frame {}", video.size[0], video.size[1], latest.frames), latest.ended.clone())
            }
        }
    }
}

impl Slides {
    fn step(&mut self, by: isize) {
        self.at = (self.at as isize + by).rem_euclid(self.places.len() as isize) as usize;
        (self.since, self.shown) = (Instant::now(), None);
    }

    fn next(&mut self, paused: bool) -> Option<Pixels> {
        if !paused && self.places.len() > 1 && self.since.elapsed() > self.every {
            self.step(1);
        }
        if self.shown == Some(self.at) {
            return None;
        }
        self.shown = Some(self.at);
        match self.places[self.at].decode(&DecodeLimits::default()) {
            Ok(picture) => {
                self.error = None;
                let size = [picture.width(), picture.height()];
                Some(Pixels { size, rgba: Picture::into_rgba(picture) })
            }
            Err(why) => {
                tell(&format!("error: {}: {why}", self.places[self.at]));
                self.error = Some(why);
                None
            }
        }
    }
}

impl Video {
    fn new(size: [u32; 2]) -> Self {
        let latest = Arc::<Mutex<Latest>>::default();
        let shared = latest.clone();
        std::thread::spawn(move || read_frames(std::io::stdin().lock(), size, &shared));
        Self { size, latest }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&mut self) -> Option<Pixels> {
        let rgba = self.lock().frame.take()?;
        Some(Pixels { size: self.size, rgba })
    }
}

/// Keeps the latest whole frame until there are no more.
fn read_frames(mut from: impl Read, [width, height]: [u32; 2], shared: &Mutex<Latest>) {
    let bytes = width as usize * height as usize * 4;
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let mut frame = lock().spare.take().unwrap_or_default();
        frame.resize(bytes, 0);
        match from.read_exact(&mut frame) {
            Ok(()) => {
                let mut latest = lock();
                latest.frames += 1;
                // A frame that nobody looked at is filled again.
                latest.spare = latest.frame.replace(frame).or_else(|| latest.spare.take());
            }
            Err(error) => {
                let mut latest = lock();
                let ended = error.kind() == std::io::ErrorKind::UnexpectedEof;
                let none = "no whole frame came: is --frame-size right, and -pix_fmt rgba given?".to_string();
                let why = if ended { "the video has ended".into() } else { format!("the video cannot be read: {error}") };
                latest.ended = Some(if latest.frames == 0 && ended { none } else { why });
                return;
            }
        }
    }
}

/// The paths that were dropped on the window and are pictures or folders.
pub fn dropped_pictures(paths: &[PathBuf]) -> Option<&PathBuf> {
    paths.iter().find(|path| path.is_dir() || pictures::is_picture(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_whole_frame_is_kept() {
        let shared = Mutex::default();
        read_frames(&[[1u8; 8], [2; 8], [3; 8]].concat()[..20], [2, 1], &shared);
        let latest = shared.into_inner().unwrap_or_default();
        assert_eq!((latest.frames, latest.frame), (2, Some(vec![2; 8])));
        assert_eq!(latest.ended.as_deref(), Some("the video has ended"));
    }

    #[test]
    fn a_pipe_without_frames_says_what_to_check() {
        let shared = Mutex::default();
        read_frames(&[0u8; 3][..], [2, 1], &shared);
        let ended = shared.into_inner().unwrap_or_default().ended.unwrap_or_default();
        assert!(ended.contains("--frame-size"), "{ended}");
    }
}
