//! SIPVicious: who looks for names and passwords.

use std::net::SocketAddr;
use std::process::Command;

use crate::evidence::Evidence;
use crate::peer::program;
use crate::ports::Port;

/// Gives up when it was not answered for so many seconds.
const GIVES_UP_AFTER: &str = "2";

/// Looks for users among `names` by requests of a method, whatever it is answered at first; returns all that it said.
pub fn svwar(server: SocketAddr, method: &str, names: &[String]) -> String {
    run("svwar", &["--force", "-m", method], server, names)
}

/// Looks for the password of a user among `passwords`; returns all that it said.
pub fn svcrack(server: SocketAddr, user: &str, passwords: &[String]) -> String {
    run("svcrack", &["-u", user], server, passwords)
}

fn run(name: &str, arguments: &[&str], server: SocketAddr, words: &[String]) -> String {
    let evidence = Evidence::new(name);
    let dictionary = evidence.file("words.txt");
    std::fs::write(&dictionary, words.join("\n") + "\n").expect("a dictionary");
    // Its own ports begin at 5060, where answers to those before it may still come.
    let port = Port::lease();
    let output = Command::new(program(name).expect("require!(Sipvicious) comes first"))
        .args(arguments)
        .args([
            "-v",
            "-t",
            "0.002",
            "-x",
            "127.0.0.1",
            "--domain",
            "callwright.test",
        ])
        .args(["--maximumtime", GIVES_UP_AFTER, "-P", &port.number().to_string()])
        .arg("-d")
        .arg(&dictionary)
        .arg(format!("udp://{server}"))
        .output()
        .expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
