//! Somebody who is told: keeps what it was sent, and answers as it is told to.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub enum Answering {
    /// At once, with this status.
    Status(u16),
    /// With success, and so many bytes.
    Bytes(usize),
    /// To go to another path.
    Redirect,
    /// Never.
    Never,
}

/// What it was sent.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A server on a loopback port; it ends with the test.
pub struct Receiver {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    answering: Arc<Mutex<Answering>>,
    served: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn answer(answering: Answering) -> Response {
    let response = Response::builder();
    match answering {
        Answering::Status(status) => response.status(status).body(Body::empty()).unwrap(),
        Answering::Bytes(n) => response.status(StatusCode::OK).body(Body::from(vec![b'x'; n])).unwrap(),
        Answering::Redirect => response.status(302).header("location", "/elsewhere").body(Body::empty()).unwrap(),
        Answering::Never => std::future::pending().await,
    }
}

impl Receiver {
    pub async fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let answering = Arc::new(Mutex::new(answering));
        let (kept, how) = (Arc::clone(&received), Arc::clone(&answering));
        let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            kept.lock().unwrap().push(Received { path: uri.path().to_owned(), headers, body });
            let now = *how.lock().unwrap();
            answer(now)
        });
        let served = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, received, answering, served }
    }

    pub fn answer(&self, answering: Answering) {
        *self.answering.lock().unwrap() = answering;
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The first that is wanted, as soon as it is there.
    pub async fn wait(&self, what: &str, wanted: impl Fn(&Received) -> bool) -> Received {
        let began = Instant::now();
        loop {
            if let Some(found) = self.received().into_iter().find(|one| wanted(one)) {
                println!("{what}: {:?}", began.elapsed());
                return found;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "{what}: {:#?}", self.received());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
