//! `mobilenet view`: without a display it says so; on a virtual one (Xvfb) it shows a picture, a folder and a video, each
//! with the network's results. Without Xvfb these are skipped, or with `MOBILENET_TEST_TOOLS` (CI) failed.
#![cfg(all(feature = "view", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn view() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobilenet"));
    command.arg("view").env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET").env_remove("DISPLAY");
    command.env_remove("MOBILENET_MODEL").env("MOBILENET_CONFIG_DIR", std::env::temp_dir().join("mobilenet-no-settings"));
    command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    command
}

fn photo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/cat.png")
}

/// A display of our own, and its number.
struct Display(Child, String);

impl Display {
    fn open() -> Option<Self> {
        let arguments = ["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"];
        let child = Command::new("Xvfb").args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = child else {
            assert!(std::env::var_os("MOBILENET_TEST_TOOLS").is_none(), "Xvfb is not here, and MOBILENET_TEST_TOOLS says that it must be");
            println!("skipped: there is no Xvfb here");
            return None;
        };
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Some(Self(child, format!(":{}", number.trim())))
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a window until it has written its screenshot, and gives that.
fn shot(display: &Display, name: &str, arguments: &[&std::ffi::OsStr], frames: Option<&[u8]>) -> image::RgbImage {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("view_{name}.png"));
    let _ = std::fs::remove_file(&file);
    let mut command = view();
    command.args(arguments).arg("--screenshot").arg(&file).env("DISPLAY", &display.1);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    if let Some(frames) = frames {
        pipe.write_all(frames).unwrap();
    }
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    image::open(&file).unwrap().to_rgb8()
}

/// Share of the pixels that are near a colour.
fn share(image: &image::RgbImage, [red, green, blue]: [u8; 3]) -> f64 {
    let near = |p: &image::Rgb<u8>| p.0[0].abs_diff(red) < 12 && p.0[1].abs_diff(green) < 12 && p.0[2].abs_diff(blue) < 12;
    image.pixels().filter(|p| near(p)).count() as f64 / f64::from(image.width() * image.height())
}

#[test]
fn without_a_display_it_says_what_to_do() {
    let output = view().arg(photo()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no window can be opened") && text.contains("xvfb-run"), "{text}");
}

#[test]
fn a_video_needs_its_size_and_a_picture_must_be_there() {
    for (source, expected) in [("-", "--frame-size"), ("no/such/photo.jpg", "no such picture")] {
        let output = view().arg(source).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && text.contains(expected), "{text}");
    }
}

#[test]
fn a_window_shows_pictures_and_what_is_seen_in_them() {
    let Some(display) = Display::open() else { return };
    let picture = shot(&display, "picture", &[photo().as_os_str()], None);
    assert_eq!(picture.dimensions(), (1180, 760));
    assert!(share(&picture, [60, 130, 200]) > 0.002, "bars of the likeliest classes");
    assert!(share(&picture, [100, 160, 220]) + share(&picture, [240, 170, 80]) > 0.02, "time of the layers");

    let folder = shot(&display, "folder", &[photo().parent().unwrap().as_os_str(), "--window".as_ref(), "900x600".as_ref()], None);
    assert_eq!(folder.dimensions(), (900, 600));

    // A video of one green frame, many times.
    let frames = [30u8, 160, 40, 255].repeat(64 * 48 * 8);
    let video = shot(&display, "video", &["-".as_ref(), "--frame-size".as_ref(), "64x48".as_ref()], Some(&frames));
    assert!(share(&video, [30, 160, 40]) > 0.2, "the video fills the window");
}
