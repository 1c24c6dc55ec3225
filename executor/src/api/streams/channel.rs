//! Between the work of a stream and the connection that takes its answer: one piece at a time, so that a slow reader
//! slows the work.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::api::problem::Problem;

/// Nobody takes the answer any more, or it is not taken in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Pieces of an answer.
#[derive(Debug)]
enum Piece {
    Some(Bytes),
    /// The answer is whole.
    End,
}

/// Where the answer is written.
#[derive(Debug)]
pub struct Answering {
    /// Until the first piece: whether there will be an answer at all.
    begin: Option<oneshot::Sender<Result<(), Problem>>>,
    pieces: mpsc::Sender<Piece>,
    /// How long a piece may wait for its reader.
    patience: Duration,
}

/// The body of the answer.
#[derive(Debug)]
pub struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    is_whole: bool,
}

/// Both ends, and the word on whether there will be an answer.
pub fn channel(patience: Duration) -> (Answering, oneshot::Receiver<Result<(), Problem>>, Pieces) {
    let (begin, has_begun) = oneshot::channel();
    // One piece waits while the connection takes another.
    let (sender, receiver) = mpsc::channel(1);
    let answering = Answering { begin: Some(begin), pieces: sender, patience };
    (answering, has_begun, Pieces { pieces: receiver, is_whole: false })
}

impl Answering {
    /// Whether something has gone out.
    pub const fn has_begun(&self) -> bool {
        self.begin.is_none()
    }

    /// Ready when nobody takes the answer any more.
    pub async fn gone(&self) {
        self.pieces.closed().await;
    }

    /// Sends a piece.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), Gone> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.put(Piece::Some(bytes)).await
    }

    /// Ends the answer.
    pub async fn end(mut self, last: Bytes) {
        if self.send(last).await.is_ok() {
            // Without this word, the connection is cut, so that nobody takes a part for the whole.
            let _ = self.put(Piece::End).await;
        }
    }

    /// Says what is wrong instead of an answer.
    pub fn refuse(mut self, problem: Problem) {
        if let Some(begin) = self.begin.take() {
            let _ = begin.send(Err(problem));
        }
    }

    async fn put(&mut self, piece: Piece) -> Result<(), Gone> {
        if let Some(begin) = self.begin.take() {
            begin.send(Ok(())).map_err(|_| Gone)?;
        }
        match tokio::time::timeout(self.patience, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.is_whole {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Some(bytes)) => Some(Ok(bytes)),
            Some(Piece::End) => {
                self.is_whole = true;
                None
            }
            None => {
                self.is_whole = true;
                Some(Err(io::ErrorKind::ConnectionAborted.into()))
            }
        })
    }
}
