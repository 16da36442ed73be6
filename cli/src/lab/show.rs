//! `mobilenet lab show`: a kernel in the language that a driver is given.

use super::bench::{OwnOptions, ShapeOptions};
use super::op;
use crate::failure::{Failure, Outcome, Status};
use crate::output::Output;
use clap::ValueEnum;
use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::kernel::{OpKind, Precision, Variant, variants};
use mobilenet_wgpu::lab::{Language, translate, translate_for};

/// A kernel as the driver is given it
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// OP/VARIANT as `lab list` names them, or the op alone beside --variant or --wgsl
    #[arg(value_name = "OP[/VARIANT]", required_unless_present = "wgsl")]
    kernel: Option<String>,
    /// The variant
    #[arg(long, value_name = "NAME", conflicts_with = "wgsl")]
    variant: Option<String>,
    #[command(flatten)]
    own: OwnOptions,
    #[command(flatten)]
    shape: ShapeOptions,
    /// The language
    #[arg(long, value_enum, default_value_t = Lang::Wgsl)]
    lang: Lang,
    /// f32, f16-storage or f16
    #[arg(long, default_value = "f32", value_parser = precision)]
    precision: Precision,
    /// The GPU on which --shape is dispatched: part of its name, or its index in `mobilenet adapters`
    #[arg(long, value_name = "NAME|INDEX")]
    adapter: Option<String>,
    /// Backends to look at for it
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lang {
    Wgsl,
    Spirv,
    Msl,
    Hlsl,
    Ir,
}

fn precision(name: &str) -> Result<Precision, String> {
    Precision::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| "expected f32, f16-storage or f16".into())
}

pub fn run(arguments: &Arguments) -> Outcome {
    let variant = find(arguments)?;
    let ShapeOptions { shape, stride, expansion, batch } = &arguments.shape;
    if shape.is_none() && (*stride, *expansion, *batch) != (1, 6, 1) {
        return Err(Failure::new(
            "--stride, --expansion and --batch say what the kernel is dispatched for\nnext: --shape HxWxCINxCOUT beside them",
        ));
    }
    let language = match arguments.lang {
        Lang::Wgsl => Language::Wgsl,
        Lang::Spirv => Language::Spirv,
        Lang::Msl => Language::Msl,
        Lang::Hlsl => Language::Hlsl,
        Lang::Ir => Language::Ir,
    };
    let text = if arguments.shape.shape.is_some() {
        let adapter = AdapterOptions { adapter: arguments.adapter.clone(), backend: arguments.backend.clone() };
        let (engine, case) = (Engine::open(&adapter)?, arguments.shape.case(variant.op));
        translate_for(&variant, &case, engine.profile(), arguments.precision, language)?
    } else {
        translate(&variant, arguments.precision, language)?
    };
    let mut out = Output::new();
    out.line(text.trim_end())?;
    out.flush()?;
    Ok(Status::Good)
}

/// The kernel that is meant: one of ours by its name, or the user's with the first values of its parameters.
fn find(arguments: &Arguments) -> Outcome<Variant> {
    let (kind, name) = match &arguments.kernel {
        Some(kernel) => {
            let (kind, name) = kernel.split_once('/').map_or((kernel.as_str(), None), |(kind, name)| (kind, Some(name)));
            (Some(op(kind).map_err(|why| Failure::new(format!("`{kernel}`: {why}\nnext: mobilenet lab list")))?), name)
        }
        None => (None, None),
    };
    if let (Some(_), Some(name)) = (&arguments.own.wgsl, name) {
        return Err(Failure::new(format!("`{name}` is a kernel of ours, and --wgsl names one of yours; name one of the two")));
    }
    if let (Some(wanted), Some(name)) = (&arguments.variant, name)
        && wanted != name
    {
        return Err(Failure::new(format!("`{name}` and --variant {wanted} are two kernels; name one of the two")));
    }
    if let Some(own) = arguments.own.read(kind)? {
        return own.variants.into_iter().next().ok_or_else(|| Failure::new("--param: name at least one value"));
    }
    let name = arguments.variant.as_deref().or(name);
    let names = |kind: Option<OpKind>| {
        let table = variants();
        table.iter().filter(|v| Some(v.op) == kind).map(|v| v.name.to_string()).collect::<Vec<_>>().join(", ")
    };
    let found = variants().into_iter().find(|v| Some(v.op) == kind && Some(&*v.name) == name);
    let op = kind.map_or("?", OpKind::name);
    found.ok_or_else(|| {
        let what = name.map_or(format!("{op}: name one of its kernels"), |name| format!("{op} has no kernel `{name}`"));
        Failure::new(format!("{what}; there are {}", names(kind)))
    })
}
