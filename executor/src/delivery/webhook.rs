//! One try of one delivery: a POST with the headers of Standard Webhooks.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, redirect};

use super::NotTaken;
use super::address::Policy;
use super::names::{Names, PermittedOnly};
use super::signature::{SigningSecret, sign_all};
use super::tunnel::{Proxy, Tunnel};

/// What receivers are told of who posts.
const NAME: &str = concat!("Rulebox-Webhooks/", env!("CARGO_PKG_VERSION"));

/// There can be no connections.
#[derive(Debug, thiserror::Error)]
#[error("there can be no connections to webhooks")]
pub enum NoClient {
    /// Without a proxy.
    Direct(#[from] reqwest::Error),
    /// Through one.
    Proxied(#[from] rustls::Error),
}

/// Posts to webhooks.
#[derive(Clone, Debug)]
pub struct Poster {
    way: Way,
    policy: Policy,
}

/// How receivers are reached.
#[derive(Clone, Debug)]
enum Way {
    Direct(Client),
    Proxied(Tunnel),
}

/// What is posted.
#[derive(Debug)]
pub struct Message<'a> {
    /// The same at every try.
    pub id: &'a str,
    /// Of this try, in seconds since 1970.
    pub timestamp: i64,
    /// JSON.
    pub body: &'a str,
}

impl Poster {
    /// Posts to addresses of this policy, by what these names stand for, and waits so long for an answer. With a proxy,
    /// through it alone.
    ///
    /// # Errors
    /// If there is no TLS.
    pub fn new(
        policy: Policy,
        names: Arc<dyn Names>,
        timeout: Duration,
        proxy: Option<Proxy>,
    ) -> Result<Self, NoClient> {
        let names = PermittedOnly { policy, names };
        let way = match proxy {
            Some(proxy) => Way::Proxied(Tunnel::new(proxy, names, timeout)?),
            None => Way::Direct(direct(names, timeout)?),
        };
        Ok(Self { way, policy })
    }

    /// Posts a message, signed with each secret.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn post(&self, url: &str, secrets: &[SigningSecret], message: &Message<'_>) -> Result<(), NotTaken> {
        // Addresses that are no names do not go through the resolver.
        let url = self.policy.check(url)?;
        let signatures = sign_all(secrets, message.id, message.timestamp, message.body);
        let mut headers = HeaderMap::new();
        let mut header = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            } else {
                // Ids, numbers and signatures are of plain characters.
                tracing::error!(%name, "a header of a webhook cannot be sent");
            }
        };
        header(USER_AGENT, NAME);
        header(CONTENT_TYPE, "application/json");
        header(HeaderName::from_static("webhook-id"), message.id);
        header(HeaderName::from_static("webhook-timestamp"), &message.timestamp.to_string());
        header(HeaderName::from_static("webhook-signature"), &signatures);
        let body = message.body.to_owned();
        let status = match &self.way {
            // Dropped behind its head: however long the body is, it is not read.
            Way::Direct(client) => {
                let sent = client.post(url).headers(headers).body(body).send().await;
                sent.map_err(NotTaken::of)?.status()
            }
            Way::Proxied(tunnel) => Box::pin(tunnel.post(&url, headers, body)).await?,
        };
        NotTaken::unless_success(status.as_u16())
    }
}

fn direct(names: PermittedOnly, timeout: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        // What was checked is the address of this connection: the next one is checked anew.
        .pool_max_idle_per_host(0)
        .dns_resolver(names)
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::IpAddr;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const MESSAGE: Message<'_> = Message { id: "id", timestamp: 1, body: "{}" };

    /// What a name stands for the first time, the second time, and so on; nothing after that.
    #[derive(Debug)]
    struct Answers(Mutex<VecDeque<Vec<IpAddr>>>);

    impl Answers {
        fn of(answers: &[&[&str]]) -> Arc<Self> {
            let answers = answers.iter().map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect());
            Arc::new(Self(Mutex::new(answers.collect())))
        }

        fn left(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }

    #[async_trait]
    impl Names for Answers {
        async fn look_up(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(self.0.lock().unwrap().pop_front().unwrap_or_default())
        }
    }

    async fn post(names: Arc<Answers>, allow_loopback: bool, url: &str) -> Result<(), NotTaken> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let poster = Poster::new(Policy { allow_loopback }, names, Duration::from_secs(30), None).unwrap();
        poster.post(url, &[SigningSecret::generate()], &MESSAGE).await
    }

    #[tokio::test]
    async fn a_public_name_that_stands_for_an_address_of_the_inside_is_not_connected_to() {
        for inside in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.168.1.1",
            "::1",
            "::ffff:10.0.0.1",
            "fd00:ec2::254",
            "fe80::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "2002:a00:1::",
        ] {
            // Alone, and behind one that is public.
            for answer in [&[inside][..], &["8.8.8.8", inside]] {
                let names = Answers::of(&[answer]);
                let refused = post(Arc::clone(&names), false, "https://hooks.example.com/x").await;
                assert!(matches!(refused, Err(NotTaken::NotPublic)), "{answer:?}: {refused:?}");
                assert_eq!(names.left(), 0, "it was looked up");
            }
        }
        let nowhere = post(Answers::of(&[&[]]), false, "https://hooks.example.com/x").await;
        assert!(matches!(nowhere, Err(NotTaken::Away(_))), "{nowhere:?}");
    }

    #[tokio::test]
    async fn a_name_that_stands_for_something_else_the_second_time_is_checked_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://rebinds.localhost:{}/", listener.local_addr().unwrap().port());
        let served = tokio::spawn(async move {
            let mut came = 0;
            while let Ok((mut connection, _)) = listener.accept().await {
                came += 1;
                let mut head = [0; 4_096];
                let _ = connection.read(&mut head).await;
                connection.write_all(b"HTTP/1.1 204 said\r\n\r\n").await.unwrap();
                if came == 2 {
                    break;
                }
            }
            came
        });
        let names = Answers::of(&[&["127.0.0.1"], &["10.0.0.1"], &["127.0.0.1"]]);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = Policy { allow_loopback: true };
        let poster = Poster::new(policy, Arc::clone(&names) as Arc<dyn Names>, Duration::from_secs(30), None).unwrap();
        let secrets = [SigningSecret::generate()];
        let post = async || poster.post(&url, &secrets, &MESSAGE).await;
        assert!(post().await.is_ok());
        let refused = post().await;
        assert!(matches!(refused, Err(NotTaken::NotPublic)), "{refused:?}");
        assert_eq!(names.left(), 1, "each connection looks it up once");
        assert!(post().await.is_ok());
        assert_eq!(served.await.unwrap(), 2);
    }
}
