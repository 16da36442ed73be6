//! A model's files: what is fetched for a name, and what is already there.

use super::download::{Download, patiently};
use super::{Cache, Client, Environment, HubError, Metadata, Repository};
use indicatif::ProgressBar;
use std::path::PathBuf;

/// Weights in the order in which they are preferred.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// What says how the weights are to be used; a repository need not have either.
const DESCRIPTIONS: [&str; 2] = [CONFIG, "preprocessor_config.json"];
const CONFIG: &str = "config.json";

/// A model in the cache.
#[derive(Clone, Debug)]
pub struct HubModel {
    /// Commit of its files.
    pub commit: String,
    /// Folder that holds `config.json` and the weights.
    pub folder: PathBuf,
    /// `model.safetensors`, or `pytorch_model.bin` where there is nothing better.
    pub weights: PathBuf,
}

/// A file of a model, and whether it had to be fetched.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Fetched {
    /// Its name in the repository.
    pub file: String,
    /// Bytes.
    pub bytes: u64,
    /// Whether it came over the network just now.
    pub fetched: bool,
}

/// Why what describes a model in the cache is not there, if it is not.
pub type Missing = Option<HubError>;

/// The hub, with its cache.
pub struct Hub {
    environment: Environment,
    cache: Cache,
}

impl Hub {
    /// The hub that the environment names; nothing is asked yet.
    pub fn new(environment: Environment) -> Self {
        Self { cache: Cache::new(&environment.cache), environment }
    }

    /// The model as it is in the cache, without a network.
    pub fn find(&self, repository: &Repository) -> Option<HubModel> {
        let weights = WEIGHTS.iter().find_map(|file| self.cache.find(repository, file))?;
        let commit = self.cache.commit(repository)?;
        Some(HubModel { folder: self.cache.snapshot(repository, &commit), commit, weights })
    }

    /// The model from the cache; if it is not there, from the hub. Where only the weights are in the cache (Python's
    /// `hf_hub_download` fetches single files), what describes them is fetched; why not, stands beside the model.
    ///
    /// # Errors
    /// Those of [`Hub::pull`]; [`HubError::Unreachable`] says what to copy from where.
    pub fn get(&self, repository: &Repository, bar: &ProgressBar) -> Result<(HubModel, Missing), HubError> {
        match self.find(repository) {
            Some(model) => {
                let missing = self.describe(repository, &model, bar).err();
                Ok((model, missing))
            }
            None => self.pull(repository, bar).map(|(model, _)| (model, None)),
        }
    }

    /// Whether it is not known what `config.json` says of a model in the cache.
    pub fn lacks_config(&self, repository: &Repository, model: &HubModel) -> bool {
        !model.folder.join(CONFIG).is_file() && !self.cache.is_known_absent(repository, &model.commit, CONFIG)
    }

    /// Fetches what describes a model whose weights alone are in the cache.
    fn describe(&self, repository: &Repository, model: &HubModel, bar: &ProgressBar) -> Result<(), HubError> {
        if !self.lacks_config(repository, model) {
            return Ok(());
        }
        if self.environment.offline {
            return Err(HubError::NoConfig { name: repository.to_string() });
        }
        let client = Client::new(&self.environment)?;
        // The weights are there and will do: a hub that does not answer is not waited for.
        let pull = Pull { hub: self, client: &client, repository, bar, patient: false };
        // config.json last: once it is there, all is.
        DESCRIPTIONS.iter().rev().try_for_each(|file| pull.optional(file, &model.commit).map(drop))
    }

    /// Brings the cache up to where the revision stands on the hub.
    ///
    /// # Errors
    /// [`HubError::Offline`] where the hub must not be asked; what can go wrong on the way.
    pub fn pull(&self, repository: &Repository, bar: &ProgressBar) -> Result<(HubModel, Vec<Fetched>), HubError> {
        if self.environment.offline {
            let (name, folder) = (repository.to_string(), Cache::folder_name(repository));
            return match self.find(repository) {
                Some(model) => Ok((model, Vec::new())),
                None => Err(HubError::Offline { name, cache: self.cache.root().into(), folder }),
            };
        }
        let client = Client::new(&self.environment)?;
        let pull = Pull { hub: self, client: &client, repository, bar, patient: true };
        pull.run().map_err(|error| match error {
            HubError::Network { message, .. } if !self.has_part(repository) => HubError::Unreachable {
                name: repository.to_string(),
                cache: self.cache.root().into(),
                folder: Cache::folder_name(repository),
                cause: message,
            },
            error => error,
        })
    }

    // Whether a download had begun: then running the command again is the better advice.
    fn has_part(&self, repository: &Repository) -> bool {
        let blobs = self.cache.blob(repository, "x");
        let Some(Ok(entries)) = blobs.parent().map(std::fs::read_dir) else { return false };
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".incomplete"))
    }
}

struct Pull<'a> {
    hub: &'a Hub,
    client: &'a Client,
    repository: &'a Repository,
    bar: &'a ProgressBar,
    /// Whether a question is put again where the hub does not answer.
    patient: bool,
}

impl Pull<'_> {
    fn run(&self) -> Result<(HubModel, Vec<Fetched>), HubError> {
        // The weights are asked for first, as their absence ends it, and fetched last: once they are there, all is.
        let (weights, metadata) = self.weights()?;
        let mut files = Vec::new();
        for file in DESCRIPTIONS {
            files.extend(self.optional(file, &metadata.commit)?);
        }
        let (path, fetched) = self.fetch(weights, &metadata)?;
        files.push(fetched);
        self.hub.cache.record_commit(self.repository, &metadata.commit)?;
        let folder = self.hub.cache.snapshot(self.repository, &metadata.commit);
        Ok((HubModel { commit: metadata.commit, folder, weights: path }, files))
    }

    fn weights(&self) -> Result<(&'static str, Metadata), HubError> {
        let mut last = None;
        for file in WEIGHTS {
            match patiently(|| self.client.metadata(self.repository, file)) {
                Err(error @ HubError::NotFound { .. }) if is_missing_file(&error) => last = Some(error),
                answer => return answer.map(|metadata| (file, metadata)),
            }
        }
        Err(match last {
            Some(HubError::NotFound { endpoint, .. }) => HubError::NotFound {
                what: format!("a checkpoint of {}", self.repository),
                endpoint,
                hint: format!("it has neither `{}` nor `{}`; other formats cannot be read", WEIGHTS[0], WEIGHTS[1]),
            },
            Some(error) => error,
            None => HubError::Name { name: self.repository.to_string(), reason: "no file was asked for".into() },
        })
    }

    fn optional(&self, file: &str, commit: &str) -> Result<Option<Fetched>, HubError> {
        if self.hub.cache.is_known_absent(self.repository, commit, file) {
            return Ok(None);
        }
        let at_commit = Repository { name: self.repository.name.clone(), revision: commit.into() };
        let ask = || self.client.metadata(&at_commit, file);
        match if self.patient { patiently(ask) } else { ask() } {
            Ok(metadata) => self.fetch(file, &metadata).map(|(_, fetched)| Some(fetched)),
            Err(HubError::NotFound { .. }) => self.hub.cache.record_absent(self.repository, commit, file).map(|()| None),
            Err(error) => Err(error),
        }
    }

    fn fetch(&self, file: &str, metadata: &Metadata) -> Result<(PathBuf, Fetched), HubError> {
        self.bar.set_message(file.to_string());
        let download = Download { cache: &self.hub.cache, client: self.client, repository: self.repository, file, metadata, bar: self.bar };
        let fetched = download.run()?;
        let path = self.hub.cache.point(self.repository, &metadata.commit, file, &metadata.etag)?;
        let bytes = std::fs::metadata(&path).map_err(|error| HubError::file(&path, &error))?.len();
        Ok((path, Fetched { file: file.into(), bytes, fetched }))
    }
}

fn is_missing_file(error: &HubError) -> bool {
    matches!(error, HubError::NotFound { what, .. } if WEIGHTS.iter().any(|file| what.ends_with(file)))
}
