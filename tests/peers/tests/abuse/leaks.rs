//! Users and nobody: the same answers, in the same time.

use std::time::Duration;

use callwright_peers::{CallCenter, CallCenterOptions};

use super::phone::{Answer, Phone};

const ROUNDS: usize = 60;
const ROUNDS_OF_LONG: usize = 2_000;
/// What the medians may differ by, on a machine that does other things too.
const DIFFERENCE: Duration = Duration::from_millis(1);
const DIFFERENCE_OF_LONG: Duration = Duration::from_micros(20);
/// Nobody is slowed here: what slows is counted by the source, not by the user.
const UNPROTECTED: &str =
    "[protection]\ninvites = false\nothers = false\nslow_after = 1000000\nban_after = 0\nunanswered = 0\n";
const METHODS: [&str; 4] = ["REGISTER", "OPTIONS", "INVITE", "wrong password"];

/// A REGISTER with a password that is wrong whatever the right one is: the second answer.
fn wrong_password(phone: &Phone, user: &str) -> Answer {
    let challenge = phone.asks("REGISTER", user, "");
    let challenge = challenge.field("WWW-Authenticate").unwrap_or_default();
    let nonce = challenge
        .split_once("nonce=\"")
        .and_then(|(_, rest)| rest.split('"').next());
    let credentials = format!(
        "Authorization: Digest username=\"{user}\", realm=\"callwright.test\", nonce=\"{}\", uri=\"sip:callwright.test\", \
         response=\"00000000000000000000000000000000\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\"\r\n",
        nonce.expect("a challenge")
    );
    phone.asks("REGISTER", user, &credentials)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn nothing_tells_a_user_from_nobody(rounds: usize, difference: Duration) {
    for auth in ["registrations", "everything"] {
        let server = CallCenter::start_with(&CallCenterOptions {
            auth: Some(auth),
            more: UNPROTECTED,
            ..CallCenterOptions::default()
        });
        let phone = Phone::at([127, 0, 0, 1], server.address());
        for method in METHODS {
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..rounds {
                let mut shapes = Vec::new();
                for (user, times) in ["alice", "alien"].iter().zip(&mut times) {
                    let answer = if method == "wrong password" {
                        wrong_password(&phone, user)
                    } else {
                        phone.asks(method, user, "")
                    };
                    times.push(answer.after);
                    shapes.push(answer.shape());
                }
                assert_eq!(shapes[0], shapes[1], "{auth}, {method}");
            }
            let [user, nobody] = times.map(median);
            println!("{auth}, {method}: answered after {user:?} to a user, after {nobody:?} to nobody");
            assert!(user.abs_diff(nobody) <= difference, "{auth}, {method}");
        }
    }
}

#[test]
fn answers_to_users_and_to_nobody_are_alike() {
    nothing_tells_a_user_from_nobody(ROUNDS, DIFFERENCE);
}

#[test]
#[ignore = "measures a release build on an idle machine"]
fn answers_to_users_and_to_nobody_come_equally_fast() {
    nothing_tells_a_user_from_nobody(ROUNDS_OF_LONG, DIFFERENCE_OF_LONG);
}
