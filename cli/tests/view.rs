//! `mobilenet view`: without a display it says so; on a virtual one (Xvfb) it shows a picture, a folder and a video, each
//! with the network's results, and hears keys, clicks and drops. Without Xvfb these are skipped, or with `MOBILENET_TEST_TOOLS` (CI) failed.
#![cfg(all(feature = "view", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod x11;

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

/// A drop-in for the Vulkan loader: the software driver twice, so that there are two adapters to choose from.
fn two_adapters(folder: &Path) -> Option<std::ffi::OsString> {
    let places = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let files = places.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().filter_map(|file| Some(file.ok()?.path()));
    let driver = files.into_iter().find(|file| file.to_string_lossy().contains("lvp_icd"))?;
    let copy = folder.join("second_icd.json");
    std::fs::copy(&driver, &copy).ok()?;
    std::env::join_paths([driver, copy]).ok()
}

/// A picture of one colour.
fn plain(folder: &Path, name: &str, colour: [u8; 3]) -> PathBuf {
    let file = folder.join(name);
    image::RgbImage::from_pixel(96, 96, image::Rgb(colour)).save(&file).unwrap();
    file
}

#[test]
fn keys_clicks_and_drops_reach_the_window() {
    let Some(display) = Display::open() else { return };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("view_desk");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("pictures")).unwrap();
    let [red, green, blue] = [[200, 30, 30], [30, 160, 40], [30, 40, 220]];
    plain(&folder.join("pictures"), "a.png", red);
    plain(&folder.join("pictures"), "b.png", green);
    let dropped = plain(&folder, "c.png", blue);
    let model = folder.join("network.safetensors");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/mobilenet_v2_cifar10.safetensors"), &model).unwrap();
    let mut command = view();
    command.arg(folder.join("pictures")).args(["--every", "3600"]).env("DISPLAY", &display.1);
    let two = two_adapters(&folder);
    if let Some(two) = &two {
        command.env("VK_DRIVER_FILES", two).env("VK_ICD_FILENAMES", two);
    }
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut child = Quitting(command.stderr(log).spawn().unwrap());

    let user = x11::User::at(&display.1).unwrap();
    let window = user.window("mobilenet").unwrap();
    let fills = |colour: [u8; 3]| move |screen: &image::RgbImage| share(screen, colour) > 0.2;
    // The part of the panel with the lists of adapters and models, and that with the caption.
    let lists = |screen: &image::RgbImage| image::imageops::crop_imm(screen, 850, 0, 330, 110).to_image();
    let caption = |screen: &image::RgbImage| image::imageops::crop_imm(screen, 0, 0, 840, 28).to_image();
    user.wait("the first picture", fills(red)).unwrap();
    user.key(x11::keys::RIGHT).unwrap();
    let before = user.wait("the next picture after the right key", fills(green)).unwrap();
    user.key(x11::keys::SPACE).unwrap();
    user.wait("a caption that says `paused`", |screen| caption(screen) != caption(&before)).unwrap();
    user.key(x11::keys::SPACE).unwrap();
    user.wait("the caption as it was", |screen| caption(screen) == caption(&before)).unwrap();
    user.key(x11::keys::P).unwrap();

    user.drop(window, &dropped).unwrap();
    let before = user.wait("the picture that was dropped", fills(blue)).unwrap();
    user.drop(window, &model).unwrap();
    let with_model = user.wait("the model that was dropped", |screen| lists(screen) != lists(&before)).unwrap();
    with_model.save(folder.join("dropped.png")).unwrap();

    // The first entry of the list of models: the built-in one again.
    let below = |screen: &image::RgbImage| image::imageops::crop_imm(screen, 860, 76, 300, 20).to_image();
    let open = user.click_for("the list of models", [1000, 61], |screen| below(screen) != below(&with_model)).unwrap();
    open.save(folder.join("models.png")).unwrap();
    let name = |screen: &image::RgbImage| image::imageops::crop_imm(screen, 860, 52, 280, 18).to_image();
    let chosen = user.click_for("the built-in model", [1000, 88], |screen| name(screen) != name(&with_model)).unwrap();
    chosen.save(folder.join("chosen.png")).unwrap();

    if two.is_some() {
        let beneath = |screen: &image::RgbImage| image::imageops::crop_imm(screen, 860, 38, 300, 10).to_image();
        let open = user.click_for("the list of adapters", [1000, 25], |screen| beneath(screen) != beneath(&chosen)).unwrap();
        open.save(folder.join("adapters.png")).unwrap();
        user.click_for("the list of adapters closed", [1000, 75], |screen| beneath(screen) == beneath(&chosen)).unwrap();
        // Everything is made anew, the window too.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let _ = user.window("mobilenet").unwrap();
        user.wait("the picture on the other adapter", |screen| fills(blue)(screen) && lists(screen) != lists(&open)).unwrap();
        user.screen().unwrap().save(folder.join("other_adapter.png")).unwrap();
    }
    user.key(x11::keys::ESCAPE).unwrap();
    let start = std::time::Instant::now();
    while child.0.try_wait().unwrap().is_none() {
        assert!(start.elapsed().as_secs() < 60, "Escape does not end it");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    assert!(child.0.wait().unwrap().success() && !log.contains("error"), "{log}");
}

/// A child that does not outlive its test.
struct Quitting(Child);

impl Drop for Quitting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_kernel_of_the_users_runs_in_the_window() {
    let Some(display) = Display::open() else { return };
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("view_mine.wgsl");
    let _ = std::fs::remove_file(&file);
    let made = Command::new(env!("CARGO_BIN_EXE_mobilenet")).args(["lab", "new", "pointwise"]).arg(&file).status().unwrap();
    assert!(made.success());
    let shown = |name: &str| {
        let shot = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let output =
            view().arg(photo()).arg("--use").arg(&file).arg("--screenshot").arg(&shot).env("DISPLAY", &display.1).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = shown("view_use.png");
    assert!(code == Some(0) && said.contains("computes 35 of 35 pointwise steps") && said.contains("agree"), "{said}");
    let source = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, source.replace("var v = sum;", "var v = sum; if (n == 0u) { v.x += 0.5; }")).unwrap();
    let (code, said) = shown("view_differs.png");
    assert!(code == Some(1) && said.contains("DIFFER"), "{said}");
}
