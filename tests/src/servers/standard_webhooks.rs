//! The official library of Standard Webhooks for Python, in a virtual environment of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::receiver::Received;
use crate::root;
use crate::tools::from_pypi;

/// What is installed.
const PACKAGE: &str = "standardwebhooks==1.1.0";

/// Reads what is to be verified, and says what the library says of it.
const VERIFY: &str = "
import json, sys
from standardwebhooks import Webhook, WebhookVerificationError
asked = json.load(sys.stdin)
try:
    said = {'event': Webhook(asked['secret']).verify(asked['body'], asked['headers'])}
except WebhookVerificationError as error:
    said = {'refused': str(error)}
json.dump(said, sys.stdout)
";

/// A Python that has the library.
#[derive(Debug)]
pub struct StandardWebhooks {
    python: PathBuf,
}

impl StandardWebhooks {
    /// Installs it beside what is built, unless it is there: that takes a minute, and the network.
    pub fn installed() -> Self {
        // What it asks for beside itself is for a client that it once had.
        let python = from_pypi("standardwebhooks", &[PACKAGE], true).join("bin/python");
        Self { python }
    }

    /// The event that was sent.
    ///
    /// # Errors
    /// Why the library refuses it.
    pub fn verify(&self, secret: &str, sent: &Received) -> Result<Value, String> {
        let mut python = Command::new(&self.python);
        python.args(["-c", VERIFY]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = python.spawn().unwrap();
        let asked = json!({"secret": secret, "headers": sent.headers, "body": sent.body});
        python.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success(), "the library neither takes nor refuses {sent:?}");
        let mut said: Value = serde_json::from_slice(&output.stdout).unwrap();
        match said.get("refused") {
            Some(why) => Err(why.as_str().unwrap().to_owned()),
            None => Ok(said.get_mut("event").unwrap().take()),
        }
    }

    /// The program that a file of this repository shows as its only block of Python.
    pub fn example(&self, path: &str) -> Command {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        let blocks: Vec<_> =
            text.split("```python\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
        assert_eq!(blocks.len(), 1, "{path}");
        let mut python = Command::new(&self.python);
        python.arg("-c").arg(blocks.concat());
        python
    }
}
