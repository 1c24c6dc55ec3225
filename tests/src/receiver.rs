//! Somebody on loopback who is told things over HTTP: keeps what came, byte by byte, and answers as it is told to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// At once, with this status.
    Status(u16),
    /// With success and so many bytes, as fast as they are taken.
    Bytes(usize),
    /// To go to another path of it.
    Redirect,
    /// With a head that comes a byte a second, and has no end.
    Drip,
    /// With half a head, and the end of the connection.
    Cut,
    /// With the end of the connection.
    Close,
    /// Never.
    Never,
}

/// What it was sent.
#[derive(Clone, Debug)]
pub struct Received {
    /// Of the request.
    pub path: String,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// What came, as text.
    pub body: String,
    /// The same, byte by byte.
    pub bytes: Vec<u8>,
    /// When its last byte had come.
    pub at: Instant,
}

impl Received {
    /// A header that must be there.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.headers))
    }

    /// The body, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Debug)]
struct Kept {
    received: Vec<Received>,
    answering: Answering,
    /// Bytes of answers that were taken from it.
    taken: usize,
}

/// A server on a free port. Its threads end with the process of the test.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// `http://127.0.0.1:…`
    pub url: String,
    kept: Arc<Mutex<Kept>>,
}

impl Receiver {
    /// Starts one.
    pub fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept { received: Vec::new(), answering, taken: 0 }));
        let receiver = Self { url, kept };
        let serving = receiver.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, serving) = (connection.unwrap(), serving.clone());
                std::thread::spawn(move || serving.serve(&connection));
            }
        });
        receiver
    }

    /// From now on it answers so.
    pub fn answer(&self, answering: Answering) {
        self.kept.lock().unwrap().answering = answering;
    }

    /// All that came.
    pub fn received(&self) -> Vec<Received> {
        self.kept.lock().unwrap().received.clone()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.kept.lock().unwrap().received.len()
    }

    /// Bytes of its answers that were taken from it.
    pub fn taken(&self) -> usize {
        self.kept.lock().unwrap().taken
    }

    /// The first request that is wanted, as soon as it is there.
    ///
    /// # Panics
    /// If it does not come within two minutes.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&Received) -> bool) -> Received {
        let began = Instant::now();
        loop {
            if let Some(found) = self.kept.lock().unwrap().received.iter().find(|one| wanted(one)) {
                return found.clone();
            }
            assert!(began.elapsed() < Duration::from_mins(2), "{what} did not come: {:#?}", self.received());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Answers the requests of a connection, until it ends.
    fn serve(&self, connection: &TcpStream) {
        let mut reader = BufReader::new(connection);
        while let Some(received) = read(&mut reader) {
            let answering = {
                let mut kept = self.kept.lock().unwrap();
                kept.received.push(received);
                kept.answering
            };
            if self.respond(connection, answering).is_none() {
                return;
            }
        }
    }

    /// Answers. `None` if the connection has ended.
    fn respond(&self, mut to: &TcpStream, answering: Answering) -> Option<()> {
        match answering {
            Answering::Status(status) => {
                to.write_all(format!("HTTP/1.1 {status} said\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()
            }
            Answering::Redirect => {
                to.write_all(b"HTTP/1.1 302 said\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").ok()
            }
            Answering::Bytes(n) => {
                to.write_all(format!("HTTP/1.1 200 said\r\ncontent-length: {n}\r\n\r\n").as_bytes()).ok()?;
                let piece = [b'x'; 16 << 10];
                let mut left = n;
                while left > 0 {
                    let written = to.write(piece.get(..left.min(piece.len()))?).ok()?;
                    self.kept.lock().unwrap().taken += written;
                    left -= written;
                }
                Some(())
            }
            Answering::Drip => {
                to.write_all(b"HTTP/1.1 200 said\r\nx-drip: ").ok()?;
                loop {
                    to.write_all(b"x").ok()?;
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
            Answering::Cut => {
                to.write_all(b"HTTP/1.1 200 sa").ok()?;
                None
            }
            Answering::Close => None,
            Answering::Never => {
                // Until the other side gives up.
                let _ = to.read(&mut [0]);
                None
            }
        }
    }
}

/// A request; `None` at the end of the connection.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<_, _> = lines.iter().skip(1).filter_map(header).collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Received { path, headers, body: String::from_utf8_lossy(&body).into_owned(), bytes: body, at: Instant::now() })
}
