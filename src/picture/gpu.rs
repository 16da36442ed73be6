//! Preprocessing on the GPU: a picture's bytes to its place in the network's input, in two dispatches.
//!
//! The passes and their tables are those of [`resample`](super::resample); `shaders/preprocess/` holds the kernels.
//! Everything goes through the caller's encoder, nothing waits, and buffers are kept from call to call.

use std::ops::Range;

use super::bands::{BandLimits, Group, groups};
use super::buffers::{Kept, Staging};
use super::resample::Coefficients;
use super::sections::{ALIGNMENT, HorizontalUniform, Normalisation, Sections, VerticalUniform};
use super::{ChannelOrder, Geometry, Picture, Preprocessing};
use crate::gpu::Scope;
use crate::kernel::{Precision, specialise};
use crate::{Error, Result};

/// The two kernels, by name: WGSL that [`specialise`] takes.
pub const KERNELS: [(&str, &str); 2] = [
    ("preprocess/resize_horizontal", include_str!("../../shaders/preprocess/resize_horizontal.wgsl")),
    ("preprocess/resize_vertical_normalise", include_str!("../../shaders/preprocess/resize_vertical_normalise.wgsl")),
];

const WORKGROUP: u32 = 8;

/// Where a picture goes: a network's input buffer, `[N, height, width, 4]`, the fourth lane 0.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The buffer; its usages include `STORAGE`.
    pub buffer: &'a wgpu::Buffer,
    /// `[height, width]` of the network's input.
    pub size: [u32; 2],
    /// The picture's index in the batch.
    pub place: u32,
}

/// The preprocessing kernels on a device, and their buffers.
#[derive(Debug)]
pub struct Preprocessor {
    device: wgpu::Device,
    limits: BandLimits,
    precision: Precision,
    layout: wgpu::BindGroupLayout,
    horizontal: wgpu::ComputePipeline,
    vertical: wgpu::ComputePipeline,
    staging: Staging,
    /// Uniforms and tables of the picture that is being encoded.
    tables: Kept,
    /// A band of the picture's rows.
    source: Kept,
    /// What the first pass made.
    middle: Kept,
}

impl Preprocessor {
    /// Compiles the kernels for inputs stored in `precision`.
    ///
    /// # Errors
    /// [`Error::Device`] or [`Error::OutOfMemory`] as the device reports them.
    pub async fn new(device: &wgpu::Device, precision: Precision) -> Result<Self> {
        let (made, caught) = {
            let scope = Scope::open(device);
            (Self::create(device, precision), scope.close())
        };
        caught.await?;
        Ok(made)
    }
    fn create(device: &wgpu::Device, precision: Precision) -> Self {
        let layout = bind_group_layout(device);
        let [horizontal, vertical] = KERNELS.map(|(name, source)| pipeline(device, &layout, name, source, precision));
        Self {
            device: device.clone(),
            limits: BandLimits::of(&device.limits()),
            precision,
            layout,
            horizontal,
            vertical,
            staging: Staging::default(),
            tables: Kept::new("preprocess tables", wgpu::BufferUsages::UNIFORM),
            source: Kept::new("preprocess source", wgpu::BufferUsages::empty()),
            middle: Kept::new("preprocess middle", wgpu::BufferUsages::empty()),
        }
    }
    /// Lets no buffer of pixels grow beyond `bytes`: larger pictures go up in bands of rows.
    #[must_use]
    pub fn with_band_bytes(mut self, bytes: u64) -> Self {
        self.limits.binding = self.limits.binding.min(bytes);
        self
    }

    /// Buffers that were made since the beginning. The number stands still once the buffers have grown to the largest
    /// picture and the most submissions in flight.
    pub fn buffers_made(&self) -> u64 {
        self.staging.made + [&self.tables, &self.source, &self.middle].iter().map(|kept| kept.made).sum::<u64>()
    }

    /// Records the picture's way to its place in the network's input.
    ///
    /// The pixels are copied into staging memory before this returns; until the encoder's work is done it holds a copy
    /// of the part of the picture that the crop needs.
    ///
    /// # Errors
    /// As [`Preprocessing::geometry`]; [`Error::Input`] if the target is too small for the place, [`Error::Limit`] if
    /// even a band of one row does not fit the device, [`Error::OutOfMemory`].
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        picture: &Picture,
        rule: &Preprocessing,
        target: &Target<'_>,
    ) -> Result<()> {
        let mut staging = std::mem::take(&mut self.staging);
        let encoded = self.encode_through(&mut staging, encoder, picture, rule, target);
        self.staging = staging;
        encoded
    }

    /// [`Preprocessor::encode`], through the caller's staging memory.
    pub(crate) fn encode_through(
        &mut self,
        staging: &mut Staging,
        encoder: &mut wgpu::CommandEncoder,
        picture: &Picture,
        rule: &Preprocessing,
        target: &Target<'_>,
    ) -> Result<()> {
        let geometry = rule.geometry(picture.size(), target.size)?;
        let region = Region::of(target, self.precision)?;
        let [across, down] = geometry.coefficients(rule.interpolation);
        let columns = across.inputs();
        let groups = groups(&down, columns.len() as u32, target.size[1], self.limits)?;
        let (sections, steps) = sections(rule, &geometry, [&across, &down], &groups, &region);
        let bytes = sections.bytes.len() as u64;
        let tables = self.tables.ensure(&self.device, bytes)?;
        staging.upload(&self.device, encoder, tables, bytes, |view| view.copy_from_slice(&sections.bytes))?;
        for (group, steps) in groups.iter().zip(&steps) {
            self.middle.ensure(&self.device, (group.inputs.len() as u64) * u64::from(target.size[1]) * 4)?;
            for (band, step) in group.bands.iter().zip(&steps.bands) {
                self.upload(staging, encoder, picture, &columns, band)?;
                self.dispatch(encoder, &self.horizontal, step, [&self.source, &self.middle].map(Kept::binding))?;
            }
            self.dispatch(encoder, &self.vertical, &steps.vertical, [self.middle.binding(), Some(region.binding(target))])?;
        }
        Ok(())
    }

    /// The rows `band` of the picture, of them `columns`, to the source buffer.
    fn upload(
        &mut self,
        staging: &mut Staging,
        encoder: &mut wgpu::CommandEncoder,
        picture: &Picture,
        columns: &Range<u32>,
        band: &Range<u32>,
    ) -> Result<()> {
        let row_bytes = columns.len() * 4;
        let bytes = (row_bytes * band.len()) as u64;
        let source = self.source.ensure(&self.device, bytes)?;
        staging.upload(&self.device, encoder, source, bytes, |view| {
            for (i, y) in band.clone().enumerate() {
                view.slice(i * row_bytes..(i + 1) * row_bytes).copy_from_slice(picture.row(y, columns.start, columns.end));
            }
        })
    }

    fn dispatch(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::ComputePipeline,
        step: &Step,
        [input, output]: [Option<wgpu::BufferBinding<'_>>; 2],
    ) -> Result<()> {
        let (Some(tables), Some(input), Some(output)) = (&self.tables.buffer, input, output) else {
            return Err(Error::Device("a buffer of the preprocessing is missing".into()));
        };
        let section = |range: &Range<u64>| wgpu::BufferBinding {
            buffer: tables,
            offset: range.start,
            size: wgpu::BufferSize::new(range.end - range.start),
        };
        let bindings = [section(&step.uniform), section(&step.tables), input, output];
        let entries: Vec<_> = (0..)
            .zip(bindings)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(buffer) })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("preprocess"),
            layout: &self.layout,
            entries: &entries,
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("preprocess"), timestamp_writes: None });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[]);
        let [x, y] = step.size.map(|side| side.div_ceil(WORKGROUP));
        pass.dispatch_workgroups(x, y, 1);
        Ok(())
    }
}

/// The uniforms and tables of all dispatches, and where each stands.
fn sections(
    rule: &Preprocessing,
    geometry: &Geometry,
    [across, down]: [&Coefficients; 2],
    groups: &[Group],
    region: &Region,
) -> (Sections, Vec<Steps>) {
    let mut sections = Sections::default();
    let width = geometry.crop[1];
    let columns = across.inputs();
    let across_tables = sections.tables(across, 0..across.bounds.len(), columns.start);
    let normalisation = Normalisation::of(rule);
    let steps = groups.iter().map(|group| {
        let rows = group.outputs.start as usize..group.outputs.end as usize;
        let down_tables = sections.tables(down, rows.clone(), 0);
        let bands = group.bands.iter().map(|band| {
            let in_rows = band.len() as u32;
            let uniform = HorizontalUniform {
                width,
                in_width: columns.len() as u32,
                in_rows,
                out_row: band.start - group.inputs.start,
                taps: across.taps,
                unused: [0; 3],
            };
            Step { uniform: sections.push(bytemuck::bytes_of(&uniform)), tables: across_tables.clone(), size: [width, in_rows] }
        });
        let bands = bands.collect();
        let uniform = VerticalUniform {
            normalisation,
            width,
            rows: rows.len() as u32,
            in_top: group.inputs.start,
            taps: down.taps,
            first: region.first + group.outputs.start * width,
            blue_first: u32::from(rule.order == ChannelOrder::Bgr),
            unused: [0; 2],
        };
        let size = [width, rows.len() as u32];
        Steps { bands, vertical: Step { uniform: sections.push(bytemuck::bytes_of(&uniform)), tables: down_tables, size } }
    });
    let steps = steps.collect();
    (sections, steps)
}

/// The dispatches of a [`Group`].
struct Steps {
    bands: Vec<Step>,
    vertical: Step,
}

/// One dispatch: where its uniform and its tables stand, and how many pixels wide and high it is.
struct Step {
    uniform: Range<u64>,
    tables: Range<u64>,
    size: [u32; 2],
}

/// The part of the target that is bound: from the last aligned offset before the picture's place to its end.
struct Region {
    bytes: Range<u64>,
    /// Pixels from the start of the binding to the picture.
    first: u32,
}

impl Region {
    fn of(target: &Target<'_>, precision: Precision) -> Result<Self> {
        let pixel = 4 * precision.bytes();
        let [height, width] = target.size.map(u64::from);
        let picture = height * width * pixel;
        let start = picture * u64::from(target.place);
        let end = start + picture;
        if end > target.buffer.size() {
            return Err(Error::Input(format!(
                "place {} of a batch of {width}x{height} ends at byte {end}, the target has {} bytes",
                target.place,
                target.buffer.size()
            )));
        }
        let aligned = start / ALIGNMENT * ALIGNMENT;
        Ok(Self { bytes: aligned..end, first: ((start - aligned) / pixel) as u32 })
    }
    fn binding<'a>(&self, target: &Target<'a>) -> wgpu::BufferBinding<'a> {
        let size = wgpu::BufferSize::new(self.bytes.end - self.bytes.start);
        wgpu::BufferBinding { buffer: target.buffer, offset: self.bytes.start, size }
    }
}

fn bind_group_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let types = [wgpu::BufferBindingType::Uniform, storage(true), storage(true), storage(false)];
    let entries: Vec<_> = (0..)
        .zip(types)
        .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("preprocess"), entries: &entries })
}

fn pipeline(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    name: &str,
    source: &str,
    precision: Precision,
) -> wgpu::ComputePipeline {
    let source = wgpu::ShaderSource::Wgsl(specialise(source, precision).into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(name), source });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(name),
        bind_group_layouts: &[Some(layout)],
        ..Default::default()
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(name),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    })
}
