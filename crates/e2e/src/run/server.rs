//! The call center of a run: in a world and on a thread of its own, as `callwright callcenter` runs it.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use callwright_callcenter as callcenter;
use callwright_callcenter::Settings;
use callwright_wire::Tap;

use crate::folder::Folder;
use crate::logs::Log;
use crate::plan::{DOMAIN, Plan, QUEUE};
use crate::tap::{Capture, lock};

use super::News;

/// Longer than the call center takes to end calls that are still up.
const STOP: Duration = Duration::from_secs(40);

/// The passwords of the agents: other ones in each run.
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn new(names: &[String]) -> Secrets {
        Secrets(
            names
                .iter()
                .map(|_| uuid::Uuid::new_v4().simple().to_string())
                .collect(),
        )
    }

    pub(crate) fn of(&self, agent: usize) -> &str {
        self.0.get(agent).map_or("", String::as_str)
    }
}

/// The call center at work.
pub(crate) struct ServerThread {
    thread: JoinHandle<()>,
    pub(crate) stop: Option<callcenter::Stop>,
}

impl ServerThread {
    /// Starts it; [`News::ServerUp`] or [`News::ServerEnded`] follows.
    pub(crate) fn start(
        plan: &Plan,
        folder: &Folder,
        secrets: &Secrets,
        capture: Arc<Mutex<Capture>>,
        news: Sender<News>,
    ) -> io::Result<ServerThread> {
        let log = Log::open(&folder.log("server"))?;
        let text = configuration(plan, folder, secrets);
        let settings = Settings::parse(Path::new("callcenter.toml"), &text);
        let thread = std::thread::Builder::new()
            .name("callwright-server".into())
            .spawn(move || {
                let ended = log.write(|| {
                    let settings = settings?;
                    let tap = |epoch| match lock(&capture).of_server(epoch) {
                        Ok(tap) => Ok(Some(Box::new(tap) as Box<dyn Tap>)),
                        Err(error) => Err(error.to_string()),
                    };
                    callcenter::serve(&settings, tap, |addresses, stop| {
                        let _over = news.send(News::ServerUp(addresses.to_vec(), stop));
                    })
                });
                drop(capture);
                let _over = news.send(News::ServerEnded(ended));
            })?;
        Ok(ServerThread { thread, stop: None })
    }

    /// Stops it in order.
    pub(crate) fn stop(self, news: &Receiver<News>) {
        let until = Instant::now() + STOP;
        if let Some(stop) = &self.stop {
            stop.ask();
        }
        loop {
            match news.recv_timeout(until.saturating_duration_since(Instant::now())) {
                // It came up only now.
                Ok(News::ServerUp(_, stop)) => stop.ask(),
                Ok(News::ServerEnded(_)) => break,
                Ok(News::Phone(..) | News::Lost | News::Interrupt) => {}
                Err(_) => return,
            }
        }
        if self.thread.join().is_err() {
            tracing::error!("the thread of the call center panicked");
        }
    }
}

/// Everything in a run comes from one address, as it does not elsewhere: nothing of it is too much.
const PROTECTION: &str = "[protection]\ninvites = false\nothers = false\ncalls = 1000000\nslow_after = 4294967295\nban_after = 0\n";

/// The configuration of the call center, as a user would write it.
fn configuration(plan: &Plan, folder: &Folder, secrets: &Secrets) -> String {
    let at = format!("127.0.0.1:{}", plan.port);
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    let mut text = format!(
        "domain = {DOMAIN:?}\nauth = \"registrations\"\ndatabase = {}\n[listen]\nudp = {at:?}\n[recordings]\nfolder = {}\n\
         {PROTECTION}[[queue]]\nname = {QUEUE:?}\nstrategy = \"round_robin\"\nanswer = \"music\"\nrecord = true\n",
        quoted(&std::path::absolute(folder.database()).unwrap_or(folder.database())),
        quoted(&std::path::absolute(folder.recordings()).unwrap_or(folder.recordings())),
    );
    for (index, name) in plan.agent_names().iter().enumerate() {
        let password = secrets.of(index);
        text.push_str(&format!(
            "[[user]]\nname = {name:?}\npassword = {password:?}\nagent = true\n"
        ));
    }
    text
}
