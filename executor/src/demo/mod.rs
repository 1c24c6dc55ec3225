//! The demonstration: the whole service on loopback, real rules uploaded over its own HTTP API, a real account's bars
//! run through them, and a hostile module stopped.

mod account;
mod chart;
mod client;
mod hostile;
mod show;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use secrecy::ExposeSecret;
use serde_json::json;

use crate::app::{App, StartError};
use crate::config::{Config, ConfigError};
use account::{Account, AccountError};
use client::{Client, ClientError};
use show::RuleResult;

/// Why the demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no temporary directory.
    #[error("cannot make a temporary directory")]
    Directory(#[source] std::io::Error),
    /// The settings are wrong, which they cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The service did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The service did not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The bars in the binary cannot be read.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The sandbox did not start, or let the hostile module through.
    #[error(transparent)]
    Hostile(#[from] hostile::HostileError),
    /// Standard output.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
}

/// A rule of the demonstration and the account that it looks at.
struct Plan {
    name: &'static str,
    source: &'static str,
    account: usize,
    /// Params that differ from the defaults, as JSON.
    params: &'static str,
}

macro_rules! plan {
    ($name:literal, $account:literal, $params:literal) => {
        Plan {
            name: $name,
            source: include_str!(concat!("../../../dsl/examples/", $name, ".rule")),
            account: $account,
            params: $params,
        }
    };
}

const PLANS: &[Plan] = &[
    plan!("check_custom_rule", 0, "{}"),
    plan!("lean_max_drawdown", 0, "{}"),
    plan!("max_cons_loss_days", 0, r#"{"limit": 7}"#),
    plan!("vol_target", 0, r#"{"target": 0.2}"#),
    plan!("ftmo_daily_loss", 1, r#"{"pct": 0.03}"#),
    plan!("topstep_max_loss", 1, r#"{"start": 100000, "trail": 15000}"#),
];

/// Runs the demonstration. `ready` is called with the service's answer still up; it serves until `stop` is ready.
///
/// # Errors
/// If the service does not start or does not answer as it should.
pub async fn run(
    out: &mut (dyn Write + Send),
    colors: bool,
    stop: Option<impl Future<Output = ()> + Send + 'static>,
) -> Result<(), DemoError> {
    let directory = tempfile::tempdir().map_err(DemoError::Directory)?;
    let mut config = Config::on_free_ports(directory.path())?;
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let usual_free = TcpListener::bind(usual).is_ok();
    if usual_free {
        config.api.listen = usual;
    }
    let app = App::start(config).await?;
    let base = format!("http://{}", app.api_address().map_err(DemoError::Output)?);
    let health = format!("http://{}", app.health_address().map_err(DemoError::Output)?);
    let key = app.first_key().map(|key| key.expose_secret().to_owned()).unwrap_or_default();
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(app.serve(async {
        // A sender that is gone means the same as its word.
        let _ = stopped.await;
    }));

    let page = show::Page::new(out, colors);
    let mut shown = tell(page, &base, &health, &key, usual_free, stop.is_some()).await;
    if let (Ok(()), Some(stop)) = (&mut shown, stop) {
        stop.await;
    }
    drop(stopping);
    // The demonstration is over; how its server ended says nothing more.
    let _ = served.await;
    shown
}

async fn tell(
    mut page: show::Page<'_>,
    base: &str,
    health: &str,
    key: &str,
    usual_free: bool,
    stays: bool,
) -> Result<(), DemoError> {
    page.service(base, health, usual_free)?;
    let client = Client::new(base, key)?;
    let accounts = Account::all()?;

    page.title("Rules, compiled and stored over HTTP")?;
    let mut uploaded = Vec::new();
    for plan in PLANS {
        let version = client.upload(plan.name, plan.source).await?;
        page.uploaded(&version)?;
        uploaded.push(version);
    }

    page.title("A real account's bars through them")?;
    for account in &accounts {
        page.account(account)?;
    }
    let mut results = Vec::new();
    page.result_head()?;
    for (plan, version) in PLANS.iter().zip(&uploaded) {
        let Some(account) = accounts.get(plan.account) else { continue };
        let params = serde_json::from_str(plan.params).unwrap_or_else(|_| json!({}));
        let evaluation = client.evaluate(version, account, params).await?;
        let result = RuleResult { account: plan.account, evaluation };
        page.result(results.len() + 1, &result)?;
        results.push(result);
    }
    page.firsts(&results)?;
    for (at, account) in accounts.iter().enumerate() {
        page.chart(account, at, &results)?;
    }

    page.title("A hostile module, stopped")?;
    let stopped = tokio::task::spawn_blocking(hostile::endless_loop).await.map_err(std::io::Error::other)??;
    page.hostile(&stopped)?;

    if stays {
        page.title("Go on")?;
        page.go_on(base, key)?;
    }
    Ok(())
}
