//! LiteLLM's proxy beside ours, set up for speed: no database, no callbacks, its own price list, errors
//! alone in its log. It is installed into a Python environment of its own.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::load::Target;
use super::servers::Server;
use crate::cargo::{root, run};

/// What it takes for its administrator's key, which is the cheapest to check.
const KEY: &str = "sk-bench";
/// How long it may take to start: it reads two thousand files, and a worker that has not done so within a
/// few seconds is killed unless it is told otherwise.
const START: Duration = Duration::from_mins(5);

/// Where it is installed; installs it where it is not.
pub(super) fn install() -> Result<PathBuf> {
    let folder = root().join("target/litellm");
    let program = folder.join("bin/litellm");
    if !program.exists() {
        eprintln!("installing LiteLLM into {}", folder.display());
        // The system's own Python is built for speed, which one built by hand seldom is.
        let own = Path::new("/usr/bin/python3");
        let python = own.exists().then_some(own);
        let mut venv = Command::new(python.unwrap_or(Path::new("python3")));
        run(venv.args(["-m", "venv"]).arg(&folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        let pip = pip.args(["install", "--quiet", "litellm[proxy]", "httptools"]);
        run(pip.env_remove("PYTHONDONTWRITEBYTECODE"))?;
    }
    Ok(program)
}

/// A model behind it: its name, the provider's dialect and model as it calls them, and where it is.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) called: &'static str,
    pub(super) base_url: String,
}

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// As it is by default: one worker under uvicorn.
    Default,
    /// The fastest that was found for two cores: a worker for each, under Granian.
    Fastest,
}

impl Setup {
    const fn name(self) -> &'static str {
        match self {
            Self::Default => "LiteLLM, 1 worker",
            Self::Fastest => "LiteLLM, 2 workers",
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Default => &["--num_workers", "1"],
            Self::Fastest => &["--num_workers", "2", "--run_granian"],
        }
    }
}

/// Starts it.
pub(super) fn start(
    program: &Path,
    folder: &Path,
    models: &[Model],
    setup: Setup,
) -> Result<(Server, Target)> {
    let config = folder.join("litellm.yaml");
    std::fs::write(&config, config_text(models))?;
    let address = free_address()?;
    let log = folder.join("litellm.log");
    let mut command = Command::new(program);
    command
        .arg("--config")
        .arg(&config)
        .args(["--host", "127.0.0.1", "--port"])
        .arg(address.port().to_string())
        .args(setup.arguments())
        .args(["--timeout_worker_healthcheck", &START.as_secs().to_string()])
        .env("LITELLM_LOG", "ERROR")
        .env("LITELLM_MODE", "PRODUCTION")
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")
        .env("LITELLM_LOCAL_POLICY_TEMPLATES", "true")
        .env("LITELLM_LOCAL_BLOG_POSTS", "True")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let mut server = Server::start(&mut command)?;
    wait(&mut server, address, &log)?;
    let target = Target {
        name: setup.name().to_owned(),
        address,
        key: KEY.to_owned(),
        processes: vec![server.id()],
    };
    Ok((server, target))
}

fn config_text(models: &[Model]) -> String {
    let model = |model: &Model| {
        format!(
            "  - model_name: {}\n    litellm_params:\n      model: {}\n      api_base: {}\n      \
             api_key: none\n",
            model.name, model.called, model.base_url
        )
    };
    let models: String = models.iter().map(model).collect();
    format!(
        "model_list:\n{models}litellm_settings:\n  callbacks: []\n  num_retries: 0\n  \
         request_timeout: 120\ngeneral_settings:\n  master_key: {KEY}\n  disable_spend_logs: true\n"
    )
}

/// An address that nobody listened on just now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until all of it serves: it listens once it is ready.
fn wait(server: &mut Server, address: SocketAddr, log: &Path) -> Result<()> {
    let began = Instant::now();
    loop {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        let fails = server.still_runs();
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        fails.with_context(|| format!("LiteLLM did not start: {}", said()))?;
        if began.elapsed() > START {
            bail!("LiteLLM does not listen after {START:?}: {}", said());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
