//! Requests of the real world that somebody waits for: each on a thread of its own, so that the wait can end before.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{Client, Request, RequestError, Response};
use crate::world::{Topic, Topics, Version};

/// Sends requests, and waits for their responses as for everything else.
#[derive(Default)]
pub(crate) struct Requests {
    client: Arc<Client>,
    /// Topics of requests that are over, to be used again.
    idle: Mutex<Vec<Topic>>,
}

type Outcome = Arc<Mutex<Option<Result<Response, RequestError>>>>;

/// Touches the topic when the request is over, also by a panic.
struct Over {
    topics: Arc<Topics>,
    topic: Topic,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.topics.touch(self.topic);
    }
}

impl Requests {
    /// Blocks until the response is complete, or one of the topics has another version. A request that is given up goes
    /// on by itself until its own timeout, and nobody hears of it.
    ///
    /// # Errors
    /// [`RequestError`]; a response with an error status is none.
    pub(crate) fn send(
        &self,
        request: &Request,
        end: &[(Topic, Version)],
        topics: &Arc<Topics>,
    ) -> Result<Response, RequestError> {
        let topic = self.idle().pop().unwrap_or_else(|| topics.open());
        let seen = topics.version(topic);
        let outcome = Outcome::default();
        let over = Over {
            topics: topics.clone(),
            topic,
        };
        let (client, sent, answer) = (self.client.clone(), request.clone(), outcome.clone());
        let thread = thread::Builder::new().name("http-request".to_owned());
        let started = thread.spawn(move || {
            let _over = over;
            let response = client.send(&sent);
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
        });
        started.map_err(|error| RequestError::Other {
            detail: format!("the system gives no thread: {error}"),
        })?;
        let mut reads = end.to_vec();
        reads.push((topic, seen));
        topics.wait(&reads, std::time::Duration::MAX);
        if topics.version(topic) == seen {
            return Err(RequestError::GivenUp);
        }
        self.idle().push(topic);
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.take().unwrap_or_else(|| {
            Err(RequestError::Other {
                detail: "the request ended by a panic".to_owned(),
            })
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Topic>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
