//! A reviewer at the security feed, who comes again where he was.

use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};

use reqwest::blocking::Client;
use serde_json::Value;

use super::world::until;

#[derive(Debug, Default)]
struct Heard {
    last_id: String,
    events: Vec<(String, Value)>,
}

/// What the feed of a service told.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mutex<Heard>>);

impl Feed {
    /// Listens, from behind the last event on, until the connection ends. Returns when it is there.
    pub fn listen(&self, api: &str, key: &str) {
        let client = Client::builder().no_proxy().timeout(None).build().unwrap();
        let request = client.get(format!("{api}/v1/violations/stream")).bearer_auth(key);
        let before = self.0.lock().unwrap().last_id.clone();
        let request = if before.is_empty() { request } else { request.header("last-event-id", &before) };
        let answer = request.send().unwrap();
        assert_eq!(answer.status(), 200);
        let heard = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let (mut id, mut topic) = (String::new(), String::new());
            // It ends with the service.
            for line in BufReader::new(answer).lines().map_while(Result::ok) {
                match line.split_once(": ") {
                    Some(("id", of)) => of.clone_into(&mut id),
                    Some(("event", of)) => of.clone_into(&mut topic),
                    Some(("data", data)) => {
                        let event = (topic.clone(), serde_json::from_str(data).unwrap());
                        heard.lock().unwrap().events.push(event);
                    }
                    _ if line.is_empty() => id.clone_into(&mut heard.lock().unwrap().last_id),
                    _ => {}
                }
            }
        });
        until("the feed begins", || !self.0.lock().unwrap().last_id.is_empty());
    }

    /// All that it told: topics and data.
    pub fn events(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap().events.clone()
    }

    /// The violations that it said were opened, one for each time that it said so.
    pub fn opened(&self) -> Vec<String> {
        let opened = self.events().into_iter().filter(|(topic, _)| topic == "violation.opened");
        opened.map(|(_, event)| event["data"]["id"].as_str().unwrap().to_owned()).collect()
    }
}
