//! Colours and progress: for people alone, never in a pipe or a file.

use std::io::{IsTerminal, stderr, stdout};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rulebox_abi::Verdict;

/// Whether to write colours to a stream: a terminal, unless `NO_COLOR` is set (no-color.org) or it knows none.
fn wants_colors(is_terminal: bool) -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal && !dumb && !refused
}

/// Whether standard error takes colours.
pub(super) fn stderr_colors() -> bool {
    wants_colors(stderr().is_terminal())
}

/// Whether standard output takes colours.
pub(super) fn stdout_colors() -> bool {
    wants_colors(stdout().is_terminal())
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    /// Whether there are any.
    pub(super) colors: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Titles.
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What is as it should be.
    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What is not.
    pub(super) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// A text in the colour of a verdict.
    pub(super) fn verdict(self, verdict: Verdict, text: &str) -> String {
        match verdict {
            Verdict::Ok => self.good(text),
            Verdict::Warn => self.with("33", text),
            Verdict::Breach => self.bad(text),
            Verdict::Fault => self.with("1;35", text),
        }
    }
}

/// A bar on standard error, if that is a terminal and the work takes long enough to wonder.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    began: Instant,
    shown: Option<ProgressBar>,
}

impl Progress {
    const PATIENCE: Duration = Duration::from_millis(300);

    /// `total` units of work.
    pub(super) fn new(what: &'static str, total: usize) -> Self {
        Self { what, total: total as u64, began: Instant::now(), shown: None }
    }

    /// This much of it is done.
    pub(super) fn at(&mut self, done: u64) {
        if self.shown.is_none() && self.began.elapsed() >= Self::PATIENCE {
            self.shown = Some(self.bar());
        }
        if let Some(bar) = &self.shown {
            bar.set_position(done);
        }
    }

    /// Hidden by itself where standard error is no terminal.
    fn bar(&self) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(self.total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg:>8} [{bar:40}] {percent:>3} %  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_message(self.what);
        bar
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
