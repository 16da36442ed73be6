//! `mobilenet pull`: a checkpoint by its name on the hub, into the cache.

use crate::failure::{Outcome, Status, tell};
use crate::hub::{Environment, Fetched, Hub, HubError, HubModel, Repository};
use crate::output::{Output, bytes};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  mobilenet pull google/mobilenet_v2_1.0_224
  mobilenet pull timm/mobilenetv2_100.ra_in1k@main     a branch, a tag or a commit
  mobilenet pull google/mobilenet_v2_1.0_224 --default  and take it where no --model is given
  mobilenet classify photo.jpg --model google/mobilenet_v2_1.0_224

The cache is the one that Python uses (HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub): what is in it is
not fetched again. HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are heeded. A download that was cut goes on where it ended.";

/// Fetch a checkpoint by its Hugging Face name
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Name on the hub, such as google/mobilenet_v2_1.0_224, with @REVISION if need be
    name: String,
    /// Branch, tag or commit
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Take it from now on where no --model is given
    #[arg(long)]
    default: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Fetches what is not in the cache yet and prints where it is.
pub fn run(arguments: &Arguments) -> Outcome {
    let repository = Repository::parse(&arguments.name, arguments.revision.as_deref())?;
    let environment = Environment::from_process();
    let offline = environment.offline;
    let hub = Hub::new(environment);
    let bar = crate::hub::progress_bar();
    let pulled = hub.pull(&repository, &bar);
    bar.finish_and_clear();
    let (model, files) = pulled?;
    if offline {
        tell(&format!("{repository}: from the cache; the hub is not asked because HF_HUB_OFFLINE is set"));
        if hub.lacks_config(&repository, &model) {
            tell(&crate::model::no_config(&repository, &HubError::NoConfig { name: repository.to_string() }));
        }
    }
    for file in &files {
        tell(&format!("{}  {}  {}", file.file, bytes(file.bytes), if file.fetched { "fetched" } else { "already here" }));
    }
    if arguments.default {
        super::models::set_default(&repository.to_string())?;
    }
    report(arguments, &repository, &model, &files)
}

fn report(arguments: &Arguments, repository: &Repository, model: &HubModel, files: &[Fetched]) -> Outcome {
    let mut out = Output::new();
    if arguments.json {
        out.json(&json!({
            "name": repository.name,
            "revision": repository.revision,
            "commit": model.commit,
            "folder": model.folder,
            "weights": model.weights,
            "files": files,
        }))?;
    } else {
        out.line(model.folder.display())?;
    }
    out.flush()?;
    Ok(Status::Good)
}
