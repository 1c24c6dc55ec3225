//! Bare axum servers: this program, started again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;

use super::process::{Cores, Server, pinned};
use crate::Error;

/// What it does with a request.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Peer {
    /// Reads nothing of it, and answers bytes that are there.
    Static,
    /// Reads it and forgets it: a collector of traces.
    Sink,
    /// Reads its JSON, and writes the JSON of the answer.
    Echo,
}

/// The hidden options that make this program a peer.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Serves, instead of measuring.
    #[arg(long, hide = true)]
    peer: Option<Peer>,
    /// The file of what it answers.
    #[arg(long, hide = true, value_name = "FILE", requires = "peer")]
    answer: Option<PathBuf>,
}

/// A bar, as the service is asked about it.
#[derive(Debug, Deserialize)]
struct Bar {
    inputs: Inputs,
}

#[derive(Debug, Deserialize)]
struct Inputs {
    equity: f64,
    drawdown: f64,
}

impl Arguments {
    /// Serves until it is killed, if it is asked to: whether it was.
    pub fn serve(&self) -> Result<bool, Error> {
        let Some(peer) = self.peer else { return Ok(false) };
        let answer = self.answer.as_ref().map(std::fs::read).transpose()?.unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(serve(peer, answer))?;
        Ok(true)
    }
}

async fn serve(peer: Peer, answer: Vec<u8>) -> Result<(), Error> {
    const JSON: [(axum::http::HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];
    let routes = match peer {
        Peer::Static => {
            let answer = axum::body::Bytes::from(answer);
            post(async move || (JSON, answer.clone()))
        }
        Peer::Sink => post(async |_: axum::body::Bytes| ()),
        Peer::Echo => {
            let answer: Arc<Value> = Arc::new(serde_json::from_slice(&answer)?);
            post(async move |bar: axum::Json<Bar>| {
                // What was read is used, so that it is read.
                std::hint::black_box(bar.inputs.equity + bar.inputs.drawdown);
                axum::Json(&*answer).into_response()
            })
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("API http://{}", listener.local_addr()?);
    println!("serving");
    let listener = listener.tap_io(|stream| {
        // Without it answers may wait; they still come.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().fallback(routes).layer(DefaultBodyLimit::disable())).await?;
    Ok(())
}

/// Starts one on these cores.
pub fn start(cores: Cores, peer: Peer, answer: &[u8], directory: &Path) -> Result<Server, Error> {
    let name = peer.to_possible_value().ok_or("a peer has a name")?.get_name().to_owned();
    let file = directory.join(format!("{name}.answer"));
    std::fs::write(&file, answer)?;
    let mut command = pinned(cores, &std::env::current_exe()?);
    command.args(["--peer", &name, "--answer"]).arg(&file);
    Server::start(&mut command, &directory.join(format!("{name}.log")), "serving")
}
