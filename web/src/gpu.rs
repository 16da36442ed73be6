//! A session on the browser's device, and the way of a page's picture into it: external image, texture, kernel, input.

use crate::errors::{to_js, with_code};
use js_sys::{Object, Reflect};
use mobilenet_wgpu::engine::{Engine, Input, Pending, Session, SessionOptions};
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::picture::{Frame, Preprocessing};
use mobilenet_wgpu::{Error, Model, wgpu};
use wasm_bindgen::prelude::{JsCast, JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// A `GPUQueue`. wgpu's own binding of this method panics where the browser throws, as it does for a picture of
    /// another origin.
    type Queue;
    #[wasm_bindgen(method, catch, js_name = copyExternalImageToTexture)]
    fn copy_external_image(this: &Queue, source: &JsValue, destination: &JsValue, size: &JsValue) -> Result<(), JsValue>;
}

pub struct Gpu {
    pub session: Session,
    /// A texture of the last picture's size.
    picture: Option<wgpu::TextureView>,
}

impl Gpu {
    pub async fn open(model: &Model, options: &SessionOptions) -> Result<Self, Error> {
        let engine = Engine::request(&AdapterOptions::default()).await?;
        Ok(Self { session: engine.session_async(model, options).await?, picture: None })
    }

    pub fn submit(&mut self, input: Input<'_>) -> Result<Pending, JsValue> {
        self.session.submit(input).map_err(|e| to_js(&e))
    }

    /// Whatever the browser can copy to a texture; `size` is `[height, width]`.
    pub fn external(&mut self, source: &JsValue, size: [u32; 2], rule: &Preprocessing) -> Result<Pending, JsValue> {
        let view = self.copied(source, size)?;
        self.submit(Input::Frames(&[Frame::texture(&view)], rule))
    }

    /// A texture with the picture in it.
    fn copied(&mut self, source: &JsValue, [height, width]: [u32; 2]) -> Result<wgpu::TextureView, JsValue> {
        let device = self.session.engine().device().clone();
        let most = device.limits().max_texture_dimension_2d;
        if height == 0 || width == 0 || height > most || width > most {
            return Err(with_code(&format!("a picture of {width}x{height}, where the device takes 1x1 to {most}x{most}"), "input"));
        }
        let fits = self.picture.as_ref().filter(|view| view.texture().width() == width && view.texture().height() == height);
        let view = match fits {
            Some(view) => view.clone(),
            None => self.picture_of(&device, width, height),
        };
        let queue: Option<&JsValue> = self.session.engine().queue().as_webgpu().map(AsRef::as_ref);
        let handle: Option<&JsValue> = view.texture().as_webgpu().map(AsRef::as_ref);
        let (Some(queue), Some(handle)) = (queue, handle) else { return Err(with_code("not a browser's device", "device")) };
        let size = js_sys::Array::of2(&width.into(), &height.into());
        queue
            .unchecked_ref::<Queue>()
            .copy_external_image(&object("source", source)?, &object("texture", handle)?, &size)
            .map_err(|thrown| with_code(&refusal(&thrown), "input"))?;
        Ok(view)
    }

    /// A new texture for pictures of another size, in place of the old one.
    fn picture_of(&mut self, device: &wgpu::Device, width: u32, height: u32) -> wgpu::TextureView {
        // Collected garbage comes too late for a video that changes its size.
        if let Some(view) = self.picture.take() {
            view.texture().destroy();
            self.session.forget_frames();
        }
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        self.picture.insert(texture.create_view(&wgpu::TextureViewDescriptor::default())).clone()
    }
}

fn refusal(thrown: &JsValue) -> String {
    let why = thrown.dyn_ref::<js_sys::Error>().map_or_else(|| "unknown".to_string(), |e| String::from(e.message()));
    format!("the browser does not give the picture's pixels ({why}): it must be loaded, and of this origin or served with CORS")
}

fn object(key: &str, value: &JsValue) -> Result<JsValue, JsValue> {
    let object = Object::new();
    Reflect::set(&object, &key.into(), value)?;
    Ok(object.into())
}
