//! `rulebox serve` and `rulebox demo`.

use std::io::stdout;
use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret;

use super::failure::Failure;
use super::terminal;
use crate::app::App;
use crate::config::Config;
use crate::{demo, telemetry};

/// Runs the service: the HTTP API, and health and metrics on a second port.
///
/// Without settings: SQLite in ./rulebox-data, the API on 127.0.0.1:8080, health and metrics on 127.0.0.1:9090. The
/// first start prints the key of its tenant, once. Settings come from a TOML file and from environment variables:
/// RULEBOX_ and the path of the setting with two underscores between its parts, such as RULEBOX_API__LISTEN,
/// RULEBOX_HEALTH__LISTEN, RULEBOX_DATA_DIR, RULEBOX_LOG__FILTER. Stops on Ctrl-C and SIGTERM, after the requests in
/// flight.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Settings in TOML; RULEBOX_CONFIG names it too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Shows everything at once: the service, real rules, a real account, a hostile module.
///
/// Starts the whole service on loopback with a store in a temporary directory, uploads real rules over its HTTP API,
/// runs a real account's bars through them, and serves until Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Exit when everything has been shown.
    #[arg(long)]
    once: bool,
}

pub(super) fn serve(arguments: &ServeArguments) -> Result<(), Failure> {
    let config = Config::load(arguments.config.as_deref()).map_err(|e| Failure::Service(Box::new(e)))?;
    telemetry::logs::start(&config.log).map_err(|e| Failure::Service(Box::new(e)))?;
    runtime()?.block_on(async {
        let directory = config.data_dir.clone();
        let app = App::start(config).await.map_err(|e| Failure::Service(Box::new(e)))?;
        let (api, health) = (app.api_address()?, app.health_address()?);
        println!("API      http://{api} (the documents: http://{api}/docs)");
        println!("health   http://{health}/readyz, http://{health}/metrics");
        println!("store    {}", directory.display());
        if let Some(key) = app.first_key() {
            println!("key      {} (shown this once: only its hash is kept)", key.expose_secret());
        }
        println!("serving until Ctrl-C");
        app.serve(stopped()).await.map_err(|e| Failure::Service(Box::new(e)))
    })
}

pub(super) fn demo(arguments: &DemoArguments) -> Result<(), Failure> {
    let once = arguments.once;
    runtime()?.block_on(async {
        let stop = async move {
            if !once {
                println!("  serving until Ctrl-C");
                stopped().await;
            }
        };
        let shown = demo::run(&mut stdout(), terminal::stdout_colors(), stop).await;
        shown.map_err(|error| match error {
            demo::DemoError::Output(error) => Failure::Output(error),
            other => Failure::Service(Box::new(other)),
        })
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| Failure::Service(Box::new(e)))
}

/// Ready when the process is asked to stop.
async fn stopped() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without the handler the default action ends the process, which is what is asked.
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
