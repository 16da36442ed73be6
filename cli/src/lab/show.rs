//! `mobilenet lab show`: a kernel in the language that a driver is given.

use super::op;
use crate::failure::{Failure, Outcome, Status};
use crate::output::Output;
use clap::ValueEnum;
use mobilenet_wgpu::kernel::{Precision, variants};
use mobilenet_wgpu::lab::{Language, translate};

/// A kernel as the driver is given it
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// OP/VARIANT, as `lab list` names them
    #[arg(value_name = "OP/VARIANT")]
    variant: String,
    /// The language
    #[arg(long, value_enum, default_value_t = Lang::Wgsl)]
    lang: Lang,
    /// f32, f16-storage or f16
    #[arg(long, default_value = "f32", value_parser = precision)]
    precision: Precision,
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
    let wrong = || Failure::new(format!("`{}`: there is no such kernel\nnext: mobilenet lab list", arguments.variant));
    let (kind, name) = arguments.variant.split_once('/').ok_or_else(wrong)?;
    let kind = op(kind).map_err(|_| wrong())?;
    let table = variants();
    let variant = table.iter().find(|v| v.op == kind && v.name == name).ok_or_else(wrong)?;
    let language = match arguments.lang {
        Lang::Wgsl => Language::Wgsl,
        Lang::Spirv => Language::Spirv,
        Lang::Msl => Language::Msl,
        Lang::Hlsl => Language::Hlsl,
        Lang::Ir => Language::Ir,
    };
    let mut out = Output::new();
    out.line(translate(variant, arguments.precision, language)?.trim_end())?;
    out.flush()?;
    Ok(Status::Good)
}
