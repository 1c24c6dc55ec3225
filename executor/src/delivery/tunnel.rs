//! Webhooks by way of a proxy, for a network in which nothing else reaches the internet.
//!
//! The proxy is asked for a tunnel (`CONNECT`, RFC 9110, section 9.3.6) to an address that was looked up and checked here,
//! and not to a name: which addresses are permitted is decided in one place, with or without it. TLS is between the
//! service and the receiver, and holds its certificate against the name.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls_platform_verifier::ConfigVerifierExt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::NotTaken;
use super::names::PermittedOnly;
use crate::telemetry::chain;

/// Bytes of the heads that a proxy and a receiver answer with.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// To connect to a proxy, which is near.
const PROXY_TIME: Duration = Duration::from_secs(3);

/// Where a proxy is: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
}

/// A text that is not where a proxy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is at `http://host:port`, without a login or a path: it is asked to CONNECT, and TLS goes through it")]
pub struct BadProxy;

impl Proxy {
    /// Whether it is on this machine.
    pub fn is_on_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

impl FromStr for Proxy {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let url = Url::parse(text).map_err(|_| BadProxy)?;
        let plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| plain && bare && !host.is_empty()).ok_or(BadProxy)?;
        // The parser leaves out the port that http has by itself: whoever means that writes it, and it is known.
        let port = url.port_or_known_default().ok_or(BadProxy)?;
        Ok(Self { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self { host, port } => write!(f, "http://{host}:{port}"),
        }
    }
}

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What keeps a tunnel from being made. For the log: tenants are not told of what is between.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTunnel {
    #[error("the proxy {proxy} cannot be reached")]
    Away { proxy: Proxy, source: io::Error },
    #[error("the proxy {proxy} asks for a login, and none can be set")]
    Login { proxy: Proxy },
    #[error("the proxy {proxy} does not permit it: it answers {status} to CONNECT")]
    Refused { proxy: Proxy, status: StatusCode },
    #[error("the proxy {proxy} does not reach the receiver: it answers {status}")]
    Failed { proxy: Proxy, status: StatusCode },
    #[error("the proxy {proxy} does not answer in time")]
    Slow { proxy: Proxy },
    #[error("the proxy {proxy} does not answer as one")]
    NoAnswer { proxy: Proxy, source: hyper::Error },
    #[error("the name stands for no address")]
    Nowhere,
    #[error("there is no TLS with the receiver")]
    Tls(#[source] io::Error),
    #[error("a certificate cannot have this name")]
    NoName(#[source] InvalidDnsNameError),
    #[error("the URL cannot be sent")]
    Url(#[source] hyper::http::Error),
}

impl NoTunnel {
    /// Whether no receiver has a part in it.
    pub(super) const fn is_of_the_proxy(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Login { .. })
    }
}

/// Posts by way of a proxy.
#[derive(Clone, Debug)]
pub struct Tunnel {
    proxy: Proxy,
    names: PermittedOnly,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    /// Whether the log has been told that it is no way out.
    is_told: Arc<AtomicBool>,
}

/// A stream of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Tunnel {
    /// To addresses that `names` permits. Waits so long for an answer.
    ///
    /// # Errors
    /// If there is no TLS.
    pub fn new(proxy: Proxy, names: PermittedOnly, timeout: Duration) -> Result<Self, rustls::Error> {
        Ok(Self {
            proxy,
            names,
            tls: Arc::new(ClientConfig::with_platform_verifier()?),
            timeout,
            is_told: Arc::default(),
        })
    }

    /// Posts this, and gives the status of the answer: the rest of it is not read.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn post(&self, url: &Url, headers: HeaderMap, body: String) -> Result<StatusCode, NotTaken> {
        tokio::time::timeout(self.timeout, self.answer(url, headers, body)).await.map_err(|_| NotTaken::Slow)?
    }

    async fn answer(&self, url: &Url, mut headers: HeaderMap, body: String) -> Result<StatusCode, NotTaken> {
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = self.connect(bare, url.port_or_known_default().unwrap_or(443)).await?;
        let stream: Box<dyn Stream> = if url.scheme() == "https" {
            let name = ServerName::try_from(bare.to_owned()).map_err(NoTunnel::NoName)?;
            let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
            Box::new(tls.map_err(NoTunnel::Tls)?)
        } else {
            Box::new(stream)
        };
        let (mut sender, connection) = heads().handshake(TokioIo::new(stream)).await.map_err(NotTaken::broken)?;
        let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        headers.insert(HOST, HeaderValue::try_from(authority).map_err(|error| NoTunnel::Url(error.into()))?);
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let request = Request::post(format!("{}{query}", url.path())).body(Full::new(Bytes::from(body)));
        let mut request = request.map_err(NoTunnel::Url)?;
        *request.headers_mut() = headers;
        Ok(sender.send_request(request).await.map_err(NotTaken::broken)?.status())
    }

    /// A tunnel to the host, at one of the addresses that it has now. None of them takes the time of the others.
    async fn connect(&self, host: &str, port: u16) -> Result<TokioIo<Upgraded>, NotTaken> {
        let found = match host.parse::<IpAddr>() {
            // Checked with the URL.
            Ok(ip) => vec![ip],
            Err(_) => self.names.look_up(host).await?,
        };
        let most = self.timeout / u32::try_from(found.len()).unwrap_or(u32::MAX).max(1);
        let mut failed = NotTaken::from(NoTunnel::Nowhere);
        for ip in found {
            let tunnel = self.tunnel(SocketAddr::new(ip, port), most).await;
            self.tell(tunnel.as_ref().err());
            match tunnel {
                Ok(stream) => return Ok(stream),
                Err(NoTunnel::Slow { .. }) => failed = NotTaken::Slow,
                Err(error) if error.is_of_the_proxy() => return Err(error.into()),
                Err(error) => failed = error.into(),
            }
        }
        Err(failed)
    }

    /// Tells the log when the proxy goes, or refuses to be one, and when it is one again; and not of each try.
    fn tell(&self, error: Option<&NoTunnel>) {
        let fault = error.filter(|error| error.is_of_the_proxy() || matches!(error, NoTunnel::Refused { .. }));
        match (fault, error) {
            (Some(error), _) if !self.is_told.swap(true, Ordering::Relaxed) => {
                tracing::warn!(error = chain(error), "webhooks do not get out by the proxy");
            }
            (None, None) if self.is_told.swap(false, Ordering::Relaxed) => {
                tracing::info!(proxy = %self.proxy, "webhooks get out by the proxy again");
            }
            _ => {}
        }
    }

    async fn tunnel(&self, to: SocketAddr, most: Duration) -> Result<TokioIo<Upgraded>, NoTunnel> {
        let proxy = || self.proxy.clone();
        let connected = TcpStream::connect((self.proxy.host.as_str(), self.proxy.port));
        let connected = tokio::time::timeout(most.min(PROXY_TIME), connected).await;
        let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = stream.map_err(|source| NoTunnel::Away { proxy: proxy(), source })?;
        let asked = tokio::time::timeout(most, self.ask(stream, to)).await;
        asked.unwrap_or_else(|_| Err(NoTunnel::Slow { proxy: proxy() }))
    }

    async fn ask(&self, stream: TcpStream, to: SocketAddr) -> Result<TokioIo<Upgraded>, NoTunnel> {
        let no_answer = |source| NoTunnel::NoAnswer { proxy: self.proxy.clone(), source };
        let (mut sender, connection) = heads().handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
        // It ends by itself: with the tunnel, or with who asks for it.
        tokio::spawn(connection.with_upgrades());
        let request = Request::connect(to.to_string()).header(HOST, to.to_string()).body(Empty::<Bytes>::new());
        let answer = sender.send_request(request.map_err(NoTunnel::Url)?).await.map_err(no_answer)?;
        let (status, proxy) = (answer.status(), self.proxy.clone());
        match status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(NoTunnel::Login { proxy }),
            StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Err(NoTunnel::Refused { proxy, status })
            }
            status if !status.is_success() => Err(NoTunnel::Failed { proxy, status }),
            _ => Ok(TokioIo::new(hyper::upgrade::on(answer).await.map_err(no_answer)?)),
        }
    }
}

/// Whoever answers with a head that is longer than any has not answered.
fn heads() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST_HEAD_BYTES);
    builder
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::address::Policy;
    use super::super::names::SystemNames;
    use super::*;

    /// Answers the first connection with this and keeps it open; says what it was asked.
    async fn answering(answer: &'static str) -> (Proxy, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let asked = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = [0; 4_096];
            let read = connection.read(&mut head).await.unwrap();
            connection.write_all(answer.as_bytes()).await.unwrap();
            // Until who asked has gone.
            let _ = connection.read(&mut [0; 1]).await;
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        (proxy, asked)
    }

    /// Long enough for whoever answers.
    const LONG: Duration = Duration::from_mins(1);

    async fn post(proxy: Proxy, allow_loopback: bool, url: &str) -> Result<StatusCode, NotTaken> {
        post_within(LONG, proxy, allow_loopback, url).await
    }

    async fn post_within(
        time: Duration,
        proxy: Proxy,
        allow_loopback: bool,
        url: &str,
    ) -> Result<StatusCode, NotTaken> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let names = PermittedOnly { policy: Policy { allow_loopback }, names: Arc::new(SystemNames) };
        let tunnel = Tunnel::new(proxy, names, time).unwrap();
        tunnel.post(&Url::parse(url).unwrap(), HeaderMap::new(), "{}".to_owned()).await
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        for (text, read) in [
            ("http://egress:3128", "http://egress:3128"),
            ("http://egress:80/", "http://egress:80"),
            ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        ] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), read);
        }
        for wrong in ["", "egress:3128", "https://egress:3128", "http://a:b@egress:1", "http://egress:1/x", "http://:1"]
        {
            assert_eq!(wrong.parse::<Proxy>(), Err(BadProxy), "{wrong}");
        }
    }

    #[tokio::test]
    async fn the_proxy_is_asked_for_an_address_and_never_for_a_name() {
        let (proxy, asked) = answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        let refused = post(proxy, true, "https://127.0.0.1:8443/x?y=1").await.unwrap_err();
        assert!(
            matches!(&refused, NotTaken::Away(why) if why.to_string().ends_with("it answers 403 Forbidden to CONNECT")),
            "{refused:?}"
        );
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("CONNECT 127.0.0.1:8443 HTTP/1.1\r\nhost: 127.0.0.1:8443\r\n"), "{asked}");
        assert!(!asked.contains("/x"), "{asked}");
    }

    #[tokio::test]
    async fn a_name_of_the_inside_is_refused_before_the_proxy_is_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let refused = post(proxy, false, "https://localhost:8443/").await;
        assert!(matches!(refused, Err(NotTaken::NotPublic)), "{refused:?}");
        let came = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
        assert!(came.is_err(), "the proxy was connected to");
    }

    #[tokio::test]
    async fn who_is_to_blame_is_told_apart() {
        let (silent, _) = answering("").await;
        let slow = post_within(Duration::from_secs(1), silent, true, "http://127.0.0.1:1/").await;
        assert!(matches!(slow, Err(NotTaken::Slow)), "{slow:?}");
        for (answer, url) in [
            ("SSH-2.0-OpenSSH_9\r\n", "http://127.0.0.1:1/"),
            ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "http://127.0.0.1:1/"),
            ("HTTP/1.1 200 OK\r\n\r\nnot TLS, and not what was asked for", "https://127.0.0.1:1/"),
        ] {
            let (odd, _) = answering(answer).await;
            let odd = post(odd, true, url).await;
            assert!(matches!(odd, Err(NotTaken::Away(_))), "{answer}: {odd:?}");
        }
        // Nobody can be told anything: that is no failure of a receiver.
        let (strict, _) = answering("HTTP/1.1 407 Login\r\ncontent-length: 0\r\n\r\n").await;
        let refused = post(strict, true, "http://127.0.0.1:1/").await;
        assert!(matches!(refused, Err(NotTaken::NoWayOut(_))), "{refused:?}");
        let nobody = post("http://127.0.0.1:1".parse().unwrap(), true, "http://127.0.0.1:1/").await;
        assert!(matches!(nobody, Err(NotTaken::NoWayOut(_))), "{nobody:?}");
    }

    #[derive(Debug)]
    struct Two;

    #[async_trait::async_trait]
    impl crate::delivery::names::Names for Two {
        async fn look_up(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()])
        }
    }

    #[tokio::test]
    async fn an_address_that_hangs_leaves_time_for_the_next() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let served = tokio::spawn(async move {
            let (_hangs, _) = listener.accept().await.unwrap();
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = [0; 4_096];
            for answer in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"] {
                let read = connection.read(&mut head).await.unwrap();
                assert!(read > 0);
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
            String::from_utf8_lossy(&head).into_owned()
        });
        let names = PermittedOnly { policy: Policy { allow_loopback: true }, names: Arc::new(Two) };
        let tunnel = Tunnel::new(proxy, names, Duration::from_secs(6)).unwrap();
        let url = Url::parse("http://two.localhost:7/x").unwrap();
        let posted = tunnel.post(&url, HeaderMap::new(), "{}".to_owned()).await;
        assert!(matches!(posted, Ok(StatusCode::NO_CONTENT)), "{posted:?}");
        assert!(served.await.unwrap().starts_with("POST /x HTTP/1.1\r\nhost: two.localhost:7\r\n"));
    }
}
