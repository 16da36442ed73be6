//! `mobilenet models`: checkpoints that are known by name, and which one is taken where none is named.

use crate::config::{self, Config};
use crate::failure::{Failure, Outcome, Status, tell};
use crate::model;
use crate::output::{Output, Table};
use mobilenet_wgpu::model::MobileNetConfig;
use serde::Serialize;
use serde_json::json;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  mobilenet models
  mobilenet models --json | jq -r '.[] | select(.cached) | .name'
  mobilenet pull google/mobilenet_v2_1.0_224
  mobilenet models --set-default google/mobilenet_v2_1.0_224     for all commands that are not told a --model
  mobilenet models --set-default builtin                         back to the built-in one

Parameters and MACs are counted as the papers do. Top-1 is ImageNet's, as its makers state it, at that resolution.
Other checkpoints of these networks can be named as well.";

/// Known checkpoints: width, resolution, cost, accuracy, licence, and which are here
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Take this model where no --model is given: a file, a folder, a name on the hub, or `builtin`
    #[arg(long, value_name = "MODEL")]
    set_default: Option<String>,
    /// One JSON array
    #[arg(long)]
    json: bool,
}

/// A checkpoint that is known by name. Top-1: tensorflow/models (mobilenet_v1.md; nets/mobilenet/README.md) for Google's,
/// timm's results-imagenet.csv and model cards for timm's, torchvision's documentation for its own.
struct Known {
    name: &'static str,
    v1: bool,
    width: f32,
    resolution: u32,
    top1: f32,
    licence: &'static str,
}

#[rustfmt::skip]
const KNOWN: [Known; 13] = [
    Known { name: "google/mobilenet_v1_0.75_192", v1: true, width: 0.75, resolution: 192, top1: 67.2, licence: "Apache-2.0" },
    Known { name: "google/mobilenet_v1_1.0_224", v1: true, width: 1.0, resolution: 224, top1: 70.9, licence: "Apache-2.0" },
    Known { name: "timm/mobilenetv1_100.ra4_e3600_r224_in1k", v1: true, width: 1.0, resolution: 224, top1: 75.4, licence: "Apache-2.0" },
    Known { name: "timm/mobilenetv1_125.ra4_e3600_r224_in1k", v1: true, width: 1.25, resolution: 224, top1: 76.9, licence: "Apache-2.0" },
    Known { name: "google/mobilenet_v2_0.35_96", v1: false, width: 0.35, resolution: 96, top1: 45.5, licence: "Apache-2.0" },
    Known { name: "google/mobilenet_v2_0.75_160", v1: false, width: 0.75, resolution: 160, top1: 66.4, licence: "Apache-2.0" },
    Known { name: "google/mobilenet_v2_1.0_224", v1: false, width: 1.0, resolution: 224, top1: 71.8, licence: "Apache-2.0" },
    Known { name: "google/mobilenet_v2_1.4_224", v1: false, width: 1.4, resolution: 224, top1: 75.0, licence: "Apache-2.0" },
    Known { name: "timm/mobilenetv2_050.lamb_in1k", v1: false, width: 0.5, resolution: 224, top1: 66.0, licence: "Apache-2.0" },
    Known { name: "timm/mobilenetv2_100.ra_in1k", v1: false, width: 1.0, resolution: 224, top1: 73.0, licence: "Apache-2.0" },
    Known { name: "timm/mobilenetv2_140.ra_in1k", v1: false, width: 1.4, resolution: 224, top1: 76.5, licence: "Apache-2.0" },
    Known { name: TORCHVISION, v1: false, width: 1.0, resolution: 224, top1: 71.9, licence: "BSD-3-Clause" },
    Known { name: model::BUILTIN, v1: false, width: 0.75, resolution: 32, top1: f32::NAN, licence: "MIT OR Apache-2.0" },
];

/// Not on the hub: `scripts/imagenet` brings it and makes it the default.
const TORCHVISION: &str = "scripts/imagenet (torchvision)";

/// A row of the table.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    version: &'static str,
    width: f32,
    resolution: u32,
    /// As the papers count; of the built-in model nothing is known without opening it.
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    macs: Option<u64>,
    /// Percent, on ImageNet.
    #[serde(skip_serializing_if = "Option::is_none")]
    top1: Option<f32>,
    licence: &'static str,
    cached: bool,
    default: bool,
}

/// Lists the checkpoints, or sets the default.
pub fn run(arguments: &Arguments) -> Outcome {
    if let Some(name) = &arguments.set_default {
        return set_default(name);
    }
    let default = Config::load()?.default_model;
    let rows = KNOWN.iter().map(|known| known.row(default.as_deref())).collect::<Outcome<Vec<_>>>()?;
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&json!(rows))?;
    } else {
        table(&rows).write(&mut out)?;
        let known = rows.iter().any(|row| row.default);
        if let Some(other) = default.filter(|_| !known) {
            out.line(format!("\ndefault: {other}"))?;
        }
    }
    out.flush()?;
    Ok(Status::Good)
}

/// Makes `name` the model of all commands that are not told another.
pub fn set_default(name: &str) -> Outcome {
    let path = Path::new(name);
    let value = if path.exists() {
        let whole = std::path::absolute(path).map_err(|error| Failure::new(format!("{name}: {error}")))?;
        whole
            .to_str()
            .map(str::to_string)
            .ok_or_else(|| Failure::new(format!("{name}: its path is no Unicode text, so it cannot be set; move it")))?
    } else if name == model::BUILTIN || model::is_hub_name(name) {
        name.to_string()
    } else {
        let forms =
            format!("give a .safetensors or .pth file, a folder with model.safetensors, a name on the hub, or `{}`", model::BUILTIN);
        return Err(Failure::new(format!("--set-default: `{name}` does not exist\nnext: {forms}")));
    };
    let mut config = Config::load()?;
    config.default_model = Some(value.clone());
    let place = config.save()?;
    tell(&format!("default model: {value} (written to {})", place.display()));
    Ok(Status::Good)
}

impl Known {
    fn row(&self, default: Option<&str>) -> Outcome<Row> {
        let builtin = self.name == model::BUILTIN;
        // Its own name here stands for the file that the script made.
        let made = config::imagenet_model().filter(|_| self.name == TORCHVISION);
        let is_default = |name: &str| name == self.name || made.as_deref().is_some_and(|path| path == Path::new(name));
        let totals = if builtin { None } else { Some(self.config().cost()?.totals) };
        Ok(Row {
            name: self.name,
            version: if self.v1 { "V1" } else { "V2" },
            width: self.width,
            resolution: self.resolution,
            params: totals.map(|totals| totals.params),
            macs: totals.map(|totals| totals.macs),
            top1: Some(self.top1).filter(|top1| !top1.is_nan()),
            licence: self.licence,
            cached: builtin && cfg!(feature = "builtin-model") || made.as_deref().is_some_and(Path::is_file) || is_cached(self.name),
            default: default.map_or(builtin, is_default),
        })
    }
    fn config(&self) -> MobileNetConfig {
        let config = if self.v1 { MobileNetConfig::v1(self.width) } else { MobileNetConfig::v2(self.width) };
        config.with_input([self.resolution; 2])
    }
}

#[cfg(feature = "hub")]
fn is_cached(name: &str) -> bool {
    use crate::hub::{Environment, Hub, Repository};
    Repository::parse(name, None).is_ok_and(|repository| Hub::new(Environment::from_process()).find(&repository).is_some())
}

#[cfg(not(feature = "hub"))]
fn is_cached(_: &str) -> bool {
    false
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&["name", "net", "width", "size", "params", "MACs", "top-1", "licence", ""], &[2, 3, 4, 5, 6]);
    let millions = |n: Option<u64>, digits: usize| n.map_or("".into(), |n| format!("{:.digits$} M", n as f64 / 1e6));
    for row in rows {
        let here = [("default", row.default), ("here", row.cached)];
        let here: Vec<_> = here.iter().filter(|(_, is)| *is).map(|(word, _)| *word).collect();
        table.row([
            row.name.to_string(),
            row.version.to_string(),
            row.width.to_string(),
            row.resolution.to_string(),
            millions(row.params, 2),
            millions(row.macs, 0),
            row.top1.map_or("".into(), |top1| format!("{top1:.1} %")),
            row.licence.to_string(),
            here.join(", "),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn figures_are_those_of_the_tables() {
        let row = |name: &str| KNOWN.iter().find(|known| known.name == name).unwrap().row(None).unwrap();
        // The tables are rounded, some down.
        let is = |name: &str, params: u64, macs: u64| {
            let (row, near) = (row(name), |n: Option<u64>, to: u64, table: u64| (n.unwrap() / to).abs_diff(table) <= 1);
            assert!(near(row.params, 10_000, params) && near(row.macs, 1_000_000, macs), "{name}: {:?} {:?}", row.params, row.macs);
        };
        is("google/mobilenet_v2_1.0_224", 347, 300);
        is("google/mobilenet_v1_1.0_224", 424, 569);
        is("google/mobilenet_v2_0.35_96", 166, 11);
        assert!(row(model::BUILTIN).default && row(model::BUILTIN).cached == cfg!(feature = "builtin-model"));
    }

    #[cfg(feature = "builtin-model")]
    #[test]
    fn the_built_in_model_is_as_the_table_says() {
        let row = KNOWN.iter().find(|known| known.name == model::BUILTIN).unwrap();
        let model = model::builtin(&Default::default()).unwrap();
        let config = model.config().unwrap();
        assert_eq!((config.width(), config.input), (row.width, [row.resolution; 2]));
    }

    #[test]
    fn all_but_two_are_names_on_the_hub() {
        assert_eq!(KNOWN.iter().filter(|known| model::is_hub_name(known.name)).count(), KNOWN.len() - 2);
    }
}
