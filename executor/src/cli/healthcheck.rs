//! `rulebox healthcheck`: asks a service whether it is well, for images that have no other program to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::blocking::Client;
use reqwest::{Url, redirect};

use super::failure::{Failure, with_sources};
use crate::config::Config;

/// Ask a service whether it is alive, or ready
///
/// Exits with 0 if it is, with 1 and a line that says why if it is not. Reads where to ask from the settings of `serve`
/// (`RULEBOX_HEALTH__LISTEN`), and nothing else of them: no store, no secret.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Ask whether it takes work (/readyz), and not only whether it is alive (/livez)
    #[arg(long, conflicts_with = "url")]
    ready: bool,
    /// Time for the answer, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    timeout_ms: u64,
    /// Settings in TOML, those of `serve`; the environment overrides them
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// Ask this address in the place of one's own service: http://host:port/path
    url: Option<Url>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let url = match &arguments.url {
        Some(url) if url.scheme() == "http" => url.clone(),
        Some(url) => return Err(Failure::Usage(format!("{url}: the address begins with http://"))),
        None => own(Config::health_address(arguments.config.as_deref())?, arguments.ready)?,
    };
    // The client has code for TLS, which it is not to look for.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match ask(url.clone(), Duration::from_millis(arguments.timeout_ms)) {
        Ok(()) => Ok(()),
        Err(why) => {
            eprintln!("{url}: {why}");
            Err(Failure::Told)
        }
    }
}

/// Where one's own service says how it is.
fn own(listen: SocketAddr, ready: bool) -> Result<Url, Failure> {
    let path = if ready { "readyz" } else { "livez" };
    let url = format!("http://{}/{path}", reachable(listen));
    Url::parse(&url).map_err(|error| Failure::Usage(format!("{url}: {error}")))
}

/// The address by which this machine reaches who listens on all of its addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Asks, and says why not.
fn ask(url: Url, time: Duration) -> Result<(), String> {
    let client = Client::builder().timeout(time).no_proxy().redirect(redirect::Policy::none()).build();
    let answer = client.and_then(|client| client.get(url).send()).map_err(|error| {
        if error.is_timeout() { format!("no answer within {time:?}") } else { with_sources(&error.without_url()) }
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    // What is wrong is in the first lines: of somebody else's service it could be anything.
    let text = answer.text().unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
    Err(if line.is_empty() { status.to_string() } else { format!("{status}: {line}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_this_machine() {
        for (listen, url) in [
            ("0.0.0.0:9090", "http://127.0.0.1:9090/livez"),
            ("[::]:9090", "http://[::1]:9090/livez"),
            ("127.0.0.1:1", "http://127.0.0.1:1/livez"),
            ("10.1.2.3:9090", "http://10.1.2.3:9090/livez"),
        ] {
            assert_eq!(own(listen.parse().unwrap(), false).unwrap().as_str(), url);
        }
        assert_eq!(own("[::]:7".parse().unwrap(), true).unwrap().as_str(), "http://[::1]:7/readyz");
    }
}
