//! `mobilenet view`: a live window.

use crate::failure::{EXIT_CODES, Outcome};
use crate::options::{DeviceOptions, ModelOptions};
use crate::view;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  mobilenet view photo.jpg
  mobilenet view photos/ --every 5 --model model.safetensors          a folder, one after the other
  ffmpeg -re -i video.mp4 -vf scale=640:480 -f rawvideo -pix_fmt rgba - | mobilenet view - --frame-size 640x480
A camera, through the same pipe:
  ffmpeg -f v4l2 -video_size 640x480 -i /dev/video0 -f rawvideo -pix_fmt rgba - | mobilenet view - --frame-size 640x480    (Linux)
  ffmpeg -f avfoundation -framerate 30 -video_size 640x480 -i 0 -f rawvideo -pix_fmt rgba - | …                            (macOS)
  ffmpeg -f dshow -video_size 640x480 -i video=\"NAME\" -f rawvideo -pix_fmt rgba - | …                                      (Windows)

The network runs on the window's own device, on the texture that is shown.
Keys: Space pauses, left and right change the picture, P measures the layers again, F is full screen, Esc or Q quits.
Pictures, folders and models may be dropped on the window.";

/// A window in which a network looks at pictures or a video
#[derive(clap::Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Arguments {
    /// A picture, a folder, or - for a video of raw RGBA frames on standard input
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Width and height of the video's frames, as ffmpeg writes them
    #[arg(long, value_name = "WxH")]
    frame_size: Option<WidthHeight>,
    /// Seconds for each picture of a folder
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    every: f32,
    /// Width and height of the window
    #[arg(long, value_name = "WxH", default_value = "1180x760")]
    window: WidthHeight,
    /// Write the window into a PNG file when results are there, and quit
    #[arg(long, value_name = "FILE.png")]
    screenshot: Option<PathBuf>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    device: DeviceOptions,
}

/// `640x480`: width first, as everywhere where videos are.
#[derive(Clone, Copy, Debug)]
pub struct WidthHeight([u32; 2]);

impl FromStr for WidthHeight {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let side = |s: &str| s.trim().parse::<u32>().ok().filter(|n| (1..=16384).contains(n));
        let size = text.split_once(['x', 'X']).and_then(|(w, h)| side(w).zip(side(h)));
        size.map(|(w, h)| WidthHeight([w, h])).ok_or_else(|| "expected WIDTHxHEIGHT, such as 640x480".into())
    }
}

/// Opens the window.
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.device.cpu {
        return Err(crate::failure::Failure::new(
            "--cpu: the window is drawn by a GPU, if only a software one, and so is the network's work",
        ));
    }
    view::run(view::Options {
        source: arguments.source.clone(),
        frame: arguments.frame_size.map(|size| size.0),
        every: Duration::from_secs_f32(arguments.every.clamp(0.05, 3600.0)),
        window: arguments.window.0,
        screenshot: arguments.screenshot.clone(),
        model: arguments.model.clone(),
        device: arguments.device.clone(),
    })
}
