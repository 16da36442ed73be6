//! A user at an X11 display: keys and clicks by the XTEST extension, drag-and-drop by XDND, and eyes.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, ImageFormat,
    InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, PropMode, SelectionNotifyEvent, WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

pub type Done<T = ()> = Result<T, Box<dyn Error>>;

/// How long something may take until it is seen; software adapters on busy machines are slow.
const PATIENCE: Duration = Duration::from_secs(60);

pub mod keys {
    pub const SPACE: u32 = 0x20;
    pub const P: u32 = 0x70;
    pub const RIGHT: u32 = 0xff53;
    pub const ESCAPE: u32 = 0xff1b;
}

pub struct User {
    connection: RustConnection,
    root: u32,
    /// A window of our own, from which things are dragged.
    own: u32,
}

impl User {
    pub fn at(display: &str) -> Done<Self> {
        let (connection, screen) = x11rb::connect(Some(display))?;
        let root = connection.setup().roots[screen].root;
        let own = connection.generate_id()?;
        let aux = CreateWindowAux::new();
        connection.create_window(0, own, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &aux)?;
        connection.flush()?;
        Ok(Self { connection, root, own })
    }

    fn atom(&self, name: &str) -> Done<u32> {
        Ok(self.connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }

    /// The window with this title, as soon as it is there; it gets the keys, as a window manager would see to.
    pub fn window(&self, title: &str) -> Done<u32> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for window in self.connection.query_tree(self.root)?.reply()?.children {
                let name = self.connection.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 64)?.reply();
                let shown = self.connection.get_window_attributes(window)?.reply();
                let shown = shown.is_ok_and(|a| a.map_state == x11rb::protocol::xproto::MapState::VIEWABLE);
                if shown && name.is_ok_and(|name| name.value == title.as_bytes()) {
                    self.connection.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME)?.check()?;
                    return Ok(window);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("no window `{title}`").into())
    }

    fn fake(&self, kind: u8, detail: u8, [x, y]: [i16; 2]) -> Done {
        Ok(self.connection.xtest_fake_input(kind, detail, x11rb::CURRENT_TIME, self.root, x, y, 0)?.check()?)
    }

    /// Presses a key, by its keysym.
    pub fn key(&self, keysym: u32) -> Done {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let map = self.connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
        let at = map.keysyms.chunks(map.keysyms_per_keycode.into()).position(|syms| syms.contains(&keysym));
        let code = first + u8::try_from(at.ok_or("no such key")?)?;
        self.fake(KEY_PRESS_EVENT, code, [0, 0])?;
        std::thread::sleep(Duration::from_millis(60));
        self.fake(KEY_RELEASE_EVENT, code, [0, 0])
    }

    /// Clicks at a place of the screen.
    fn click(&self, place: [i16; 2]) -> Done {
        self.fake(MOTION_NOTIFY_EVENT, 0, place)?;
        for kind in [BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT] {
            // So that a frame sees it between.
            std::thread::sleep(Duration::from_millis(300));
            self.fake(kind, 1, [0, 0])?;
        }
        Ok(())
    }

    fn message(&self, window: u32, kind: &str, data: [u32; 5]) -> Done {
        let event = ClientMessageEvent::new(32, window, self.atom(kind)?, data);
        self.connection.send_event(false, window, EventMask::NO_EVENT, event)?.check()?;
        Ok(())
    }

    /// Drags a file to a window and lets it go there.
    pub fn drop(&self, window: u32, file: &Path) -> Done {
        let list = self.atom("text/uri-list")?;
        let selection = self.atom("XdndSelection")?;
        let (status, finished) = (self.atom("XdndStatus")?, self.atom("XdndFinished")?);
        let uri = format!("file://{}\r\n", file.canonicalize()?.display());
        self.connection.set_selection_owner(self.own, selection, x11rb::CURRENT_TIME)?.check()?;
        self.message(window, "XdndEnter", [self.own, 5 << 24, list, 0, 0])?;
        self.message(window, "XdndPosition", [self.own, 0, (100 << 16) | 100, 0, self.atom("XdndActionCopy")?])?;
        let (start, mut given, mut accepted, mut dropped) = (Instant::now(), false, false, false);
        while start.elapsed() < PATIENCE {
            match self.connection.poll_for_event()? {
                Some(Event::SelectionRequest(asked)) => {
                    self.connection.change_property8(PropMode::REPLACE, asked.requestor, asked.property, list, uri.as_bytes())?.check()?;
                    let answer = SelectionNotifyEvent {
                        response_type: x11rb::protocol::xproto::SELECTION_NOTIFY_EVENT,
                        sequence: 0,
                        time: asked.time,
                        requestor: asked.requestor,
                        selection: asked.selection,
                        target: asked.target,
                        property: asked.property,
                    };
                    self.connection.send_event(false, asked.requestor, EventMask::NO_EVENT, answer)?.check()?;
                    given = true;
                }
                Some(Event::ClientMessage(message)) if message.type_ == status => accepted = message.data.as_data32()[1] & 1 == 1,
                Some(Event::ClientMessage(message)) if message.type_ == finished => return Ok(()),
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(20)),
            }
            if given && accepted && !dropped {
                // The answer has to be read before the end of it comes.
                std::thread::sleep(Duration::from_millis(200));
                self.message(window, "XdndDrop", [self.own, 0, x11rb::CURRENT_TIME, 0, 0])?;
                dropped = true;
            }
        }
        Err(format!("the drop did not end: asked for {given}, accepted {accepted}").into())
    }

    /// What is on the screen.
    pub fn screen(&self) -> Done<image::RgbImage> {
        let size = self.connection.get_geometry(self.root)?.reply()?;
        let (width, height) = (size.width, size.height);
        let shot = self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, width, height, !0)?.reply()?;
        let rgb = shot.data.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]).collect();
        image::RgbImage::from_raw(width.into(), height.into(), rgb).ok_or_else(|| "the screen is of another depth".into())
    }

    /// Waits until the screen is as it should be, and gives it.
    pub fn wait(&self, what: &str, is: impl Fn(&image::RgbImage) -> bool) -> Done<image::RgbImage> {
        self.wait_doing(what, is, || Ok(()))
    }

    /// Clicks at a place until the screen is as it should be, and gives it: to a program that was held up for a second between press
    /// and release it was no click.
    pub fn click_for(&self, what: &str, place: [i16; 2], is: impl Fn(&image::RgbImage) -> bool) -> Done<image::RgbImage> {
        self.wait_doing(what, is, || self.click(place))
    }

    /// Does something, now and every ten seconds, until the screen is as it should be.
    fn wait_doing(&self, what: &str, is: impl Fn(&image::RgbImage) -> bool, act: impl Fn() -> Done) -> Done<image::RgbImage> {
        let (start, mut acted) = (Instant::now(), None::<Instant>);
        loop {
            if acted.is_none_or(|at| at.elapsed().as_secs() >= 10) {
                act()?;
                acted = Some(Instant::now());
            }
            let screen = self.screen()?;
            if is(&screen) {
                return Ok(screen);
            }
            if start.elapsed() > PATIENCE {
                let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("view_failed.png");
                screen.save(&file)?;
                return Err(format!("not seen: {what}; what is there instead is in {}", file.display()).into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
