//! Preprocessing of frames that are on the device already: one dispatch a frame, nothing through the host but a uniform.
//!
//! What must hold: after warm-up nothing is allocated and no pipeline made; a bind group is made once for each new pair of
//! a frame's source and a network's input, and the latest [`BindGroups::MOST`] are kept. A view may be of any level of a texture with
//! several: then there is a dispatch for each, and that of the view's own size does the work.

use super::buffers::{Staging, now};
use super::frame::MOST_LEVELS;
use super::sections::{ALIGNMENT, Normalisation};
use super::{ChannelOrder, ChromaOrder, Frame, FrameSource, Interpolation, Preprocessing};
use crate::gpu::Scope;
use crate::kernel::{Precision, specialise};
use crate::{Error, Result};

/// The kernels for frames, by name: WGSL that [`specialise`] takes.
pub const FRAME_KERNELS: [(&str, &str); 3] = [
    ("preprocess/texture", include_str!("../../shaders/preprocess/texture.wgsl")),
    ("preprocess/texture_nv12", include_str!("../../shaders/preprocess/texture_nv12.wgsl")),
    ("preprocess/buffer", include_str!("../../shaders/preprocess/buffer.wgsl")),
];

const WORKGROUP: u32 = 8;

/// `Frame` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct FrameUniform {
    normalisation: Normalisation,
    range: [f32; 4],
    matrix: [f32; 4],
    step: [f32; 2],
    picture: [u32; 2],
    offset: [u32; 2],
    output: [u32; 2],
    chroma: [u32; 2],
    siting: [f32; 2],
    origin: [i32; 2],
    along: [i32; 2],
    down: [i32; 2],
    view: [u32; 2],
    first: u32,
    cubic: u32,
    blue_first: u32,
    encode: u32,
    start: u32,
    row_pixels: u32,
    cr_first: u32,
    unused: u32,
}

/// The kernels for frames on a device, with their uniforms and bind groups.
#[derive(Debug)]
pub struct FramePreprocessor {
    device: wgpu::Device,
    precision: Precision,
    batch: u32,
    kernels: [Kernel; 3],
    /// A section for each picture of a batch and each level that it may be of.
    uniforms: wgpu::Buffer,
    staging: Staging,
    groups: BindGroups,
    groups_made: u64,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// What a bind group was made for.
#[derive(Debug, PartialEq)]
struct Key {
    source: Source,
    output: wgpu::Buffer,
}

#[derive(Debug, PartialEq)]
enum Source {
    Texture(wgpu::TextureView),
    Nv12(wgpu::TextureView, wgpu::TextureView),
    Buffer(wgpu::Buffer),
}

/// Bind groups, the latest used last. They keep their textures alive.
#[derive(Debug, Default)]
struct BindGroups {
    kept: Vec<(Key, wgpu::BindGroup)>,
}

impl BindGroups {
    /// A camera's three buffers in a ring of three, and as much again.
    const MOST: usize = 18;

    fn get(&mut self, key: Key, make: impl FnOnce(&Key) -> Result<wgpu::BindGroup>) -> Result<wgpu::BindGroup> {
        let found = self.kept.iter().position(|(kept, _)| *kept == key);
        let entry = match found {
            Some(index) => self.kept.remove(index),
            None => {
                let group = make(&key)?;
                if self.kept.len() >= Self::MOST {
                    self.kept.remove(0);
                }
                (key, group)
            }
        };
        let group = entry.1.clone();
        self.kept.push(entry);
        Ok(group)
    }
}

impl FramePreprocessor {
    /// Compiles the kernels, for up to `batch` frames at a time and inputs stored in `precision`.
    ///
    /// # Errors
    /// [`Error::Device`] or [`Error::OutOfMemory`] as the device reports them.
    pub fn new(device: &wgpu::Device, precision: Precision, batch: u32) -> Result<Self> {
        let scope = Scope::open(device);
        let made = Self {
            device: device.clone(),
            precision,
            batch,
            kernels: std::array::from_fn(|kind| kernel(device, kind, precision)),
            uniforms: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("frames"),
                size: ALIGNMENT * u64::from(batch * MOST_LEVELS),
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
            staging: Staging::default(),
            groups: BindGroups::default(),
            groups_made: 0,
            bytes: Vec::new(),
        };
        now(scope.close())?;
        Ok(made)
    }

    /// Buffers that were made since the beginning.
    pub fn buffers_made(&self) -> u64 {
        1 + self.staging.made
    }

    /// Bind groups that were made since the beginning: one for each pair of a source and an input that is not kept.
    pub fn bind_groups_made(&self) -> u64 {
        self.groups_made
    }

    /// Lets go of the textures and buffers of earlier frames.
    pub fn forget(&mut self) {
        self.groups.kept.clear();
    }

    /// Records the frames' way to the network's input: `output` holds `[N, height, width, 4]`, `size` is `[height, width]`.
    ///
    /// # Errors
    /// [`Error::Input`] for more frames than this was made for, a frame that is not what it is said to be, or an output
    /// that is too small; those of [`Preprocessing::geometry`]; [`Error::OutOfMemory`].
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        frames: &[Frame<'_>],
        rule: &Preprocessing,
        output: &wgpu::Buffer,
        size: [u32; 2],
    ) -> Result<()> {
        let mut staging = std::mem::take(&mut self.staging);
        let encoded = self.encode_through(&mut staging, encoder, frames, rule, output, size);
        self.staging = staging;
        encoded
    }

    /// [`FramePreprocessor::encode`], through the caller's staging memory.
    pub(crate) fn encode_through(
        &mut self,
        staging: &mut Staging,
        encoder: &mut wgpu::CommandEncoder,
        frames: &[Frame<'_>],
        rule: &Preprocessing,
        output: &wgpu::Buffer,
        size: [u32; 2],
    ) -> Result<()> {
        let needed = frames.len() as u64 * u64::from(size[0]) * u64::from(size[1]) * 4 * self.precision.bytes();
        if needed > output.size() || frames.len() > self.batch as usize {
            return Err(Error::Input(format!("{} frames of {size:?}, which is more than this was made for", frames.len())));
        }
        self.bytes.clear();
        for (place, frame) in (0..).zip(frames) {
            for level in 0..frame.levels()? {
                let uniform = uniform(frame, rule, size, place, level)?;
                self.bytes.extend_from_slice(bytemuck::bytes_of(&uniform));
                self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
            }
        }
        let bytes = &self.bytes;
        staging.upload(&self.device, encoder, &self.uniforms, bytes.len() as u64, |view| view.copy_from_slice(bytes))?;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("frames"), timestamp_writes: None });
        let mut offset = 0;
        for frame in frames {
            let (device, uniforms, kernel) = (&self.device, &self.uniforms, &self.kernels[kind(&frame.source)]);
            let key = Key { source: Source::of(&frame.source), output: output.clone() };
            let made = &mut self.groups_made;
            let group = self.groups.get(key, |key| {
                *made += 1;
                bind_group(device, kernel, uniforms, key)
            })?;
            pass.set_pipeline(&kernel.pipeline);
            for _level in 0..frame.levels()? {
                pass.set_bind_group(0, &group, &[offset]);
                pass.dispatch_workgroups(size[1].div_ceil(WORKGROUP), size[0].div_ceil(WORKGROUP), 1);
                offset += ALIGNMENT as u32;
            }
        }
        Ok(())
    }
}

/// Which of [`FRAME_KERNELS`] reads the source.
fn kind(source: &FrameSource<'_>) -> usize {
    match source {
        FrameSource::Texture { .. } => 0,
        FrameSource::Nv12 { .. } => 1,
        FrameSource::Buffer { .. } => 2,
    }
}

impl Source {
    fn of(source: &FrameSource<'_>) -> Self {
        match *source {
            FrameSource::Texture { view, .. } => Self::Texture(view.clone()),
            FrameSource::Nv12 { luma, chroma, .. } => Self::Nv12(luma.clone(), chroma.clone()),
            FrameSource::Buffer { buffer, .. } => Self::Buffer(buffer.clone()),
        }
    }
}

/// What the kernel has to know of the frame at `place` of the batch, if its view is of a level of its texture.
#[inline(never)]
fn uniform(frame: &Frame<'_>, rule: &Preprocessing, size: [u32; 2], place: u32, level: u32) -> Result<FrameUniform> {
    let whole = frame.size()?.map(|side| (side >> level).max(1));
    let map = frame.framing.mapping(whole)?;
    let geometry = rule.geometry(map.size, size)?;
    let [range, matrix] = match frame.source {
        FrameSource::Nv12 { yuv, .. } => {
            let [offset, scale, chroma] = yuv.scales();
            [[offset, scale, chroma, 0.0], yuv.coefficients()]
        }
        _ => [[0.0; 4]; 2],
    };
    let (chroma, siting) = match frame.source {
        FrameSource::Nv12 { yuv, .. } => (whole.map(|side| side.div_ceil(2)), yuv.siting.first()),
        _ => ([0; 2], [0.0; 2]),
    };
    let encode = match frame.source {
        FrameSource::Texture { view, srgb, .. } => srgb.unwrap_or(view.texture().format().is_srgb()),
        _ => false,
    };
    let (start, row_pixels) = match frame.source {
        FrameSource::Buffer { offset, row_bytes, .. } => ((offset / 4) as u32, row_bytes / 4),
        _ => (0, 0),
    };
    let cr_first = matches!(frame.source, FrameSource::Nv12 { yuv, .. } if yuv.order == ChromaOrder::CrCb);
    let view = if frame.levels()? > 1 { whole } else { [0; 2] };
    let swap = |[height, width]: [u32; 2]| [width, height];
    let step = [1, 0].map(|axis| (f64::from(geometry.picture[axis]) / f64::from(geometry.resized[axis])) as f32);
    Ok(FrameUniform {
        normalisation: Normalisation::of(rule),
        range,
        matrix,
        step,
        picture: swap(map.size),
        offset: swap(geometry.offset),
        output: swap(size),
        chroma: swap(chroma),
        siting,
        origin: map.origin,
        along: map.along,
        down: map.down,
        view: swap(view),
        first: place * size[0] * size[1],
        cubic: u32::from(rule.interpolation == Interpolation::Bicubic),
        blue_first: u32::from(rule.order == ChannelOrder::Bgr),
        encode: u32::from(encode),
        start,
        row_pixels,
        cr_first: u32::from(cr_first),
        unused: 0,
    })
}

fn bind_group(device: &wgpu::Device, kernel: &Kernel, uniforms: &wgpu::Buffer, key: &Key) -> Result<wgpu::BindGroup> {
    use wgpu::BindingResource as R;
    let size = wgpu::BufferSize::new(size_of::<FrameUniform>() as u64);
    let mut resources = vec![R::Buffer(wgpu::BufferBinding { buffer: uniforms, offset: 0, size })];
    match &key.source {
        Source::Texture(view) => resources.push(R::TextureView(view)),
        Source::Nv12(luma, chroma) => resources.extend([R::TextureView(luma), R::TextureView(chroma)]),
        Source::Buffer(buffer) => resources.push(buffer.as_entire_binding()),
    }
    resources.push(key.output.as_entire_binding());
    let entries: Vec<_> = (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
    let scope = Scope::open(device);
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some("frame"), layout: &kernel.layout, entries: &entries });
    now(scope.close()).map_err(|error| match error {
        Error::Device(message) => Error::Input(format!("the frame cannot be bound: {message}")),
        other => other,
    })?;
    Ok(group)
}

fn kernel(device: &wgpu::Device, kind: usize, precision: Precision) -> Kernel {
    use wgpu::BufferBindingType::{Storage, Uniform};
    let (name, source) = FRAME_KERNELS[kind];
    let buffer = |ty, has_dynamic_offset| wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None };
    let texture = wgpu::BindingType::Texture {
        sample_type: wgpu::TextureSampleType::Float { filterable: false },
        view_dimension: wgpu::TextureViewDimension::D2,
        multisampled: false,
    };
    let mut types = vec![buffer(Uniform, true)];
    match kind {
        0 => types.push(texture),
        1 => types.extend([texture, texture]),
        _ => types.push(buffer(Storage { read_only: true }, false)),
    }
    types.push(buffer(Storage { read_only: false }, false));
    let entry = |(binding, ty)| wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None };
    let entries: Vec<_> = (0..).zip(types).map(entry).collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
    let source = wgpu::ShaderSource::Wgsl(specialise(source, precision).into());
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(name),
        bind_group_layouts: &[Some(&layout)],
        ..Default::default()
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(name),
        layout: Some(&pipeline_layout),
        module: &device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(name), source }),
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    Kernel { pipeline, layout }
}
