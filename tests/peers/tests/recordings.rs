//! Recordings of calls, as files and in the database: through the binary, with real sockets.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use callwright_peers::{Baresip, CallCenter, CallCenterOptions, Capture, command, power_at, require};

const RECORDED: &str = "[[queue]]\nname = \"support\"\nrecord = true\n";

fn callcenter(more: &str) -> CallCenter {
    CallCenter::start_with(&CallCenterOptions {
        auth: Some("registrations"),
        more,
        capture: true,
        ..CallCenterOptions::default()
    })
}

/// A customer who talks to alice, and after a transfer to carol.
fn customer(server: &CallCenter, transfer: &str, seconds: u32) -> Child {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/recorded.rhai");
    let mut command = command();
    command.arg("run").arg(scenario);
    for setting in [
        format!("domain={}", server.address()),
        format!("transfer={transfer}"),
        format!("seconds={seconds}"),
    ] {
        command.args(["--set", &setting]);
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.expect("it runs")
}

#[track_caller]
fn passes(customer: Child) {
    let output = customer.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// The files in the folder of recordings.
fn files(server: &CallCenter) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(server.file("recordings")).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The two tracks of a WAV of 16 bits at 8 kHz, as its header says.
fn tracks(path: &Path) -> [Vec<f64>; 2] {
    let bytes = std::fs::read(path).expect("a file");
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(&bytes[..4], b"RIFF");
    assert_eq!(
        (number(4), number(40)),
        (bytes.len() as u32 - 8, bytes.len() as u32 - 44)
    );
    assert_eq!(
        (number(20), number(24)),
        (2 << 16 | 1, 8_000),
        "PCM, two channels, 8 kHz"
    );
    let track = |offset: usize| {
        let frames = bytes[44..].chunks_exact(4);
        frames
            .map(|frame| f64::from(i16::from_le_bytes([frame[offset], frame[offset + 1]])))
            .collect()
    };
    [track(0), track(2)]
}

/// Which of the tones is the strongest in a piece, in blocks of 20 ms; `None` where none is.
fn tone(samples: &[f64]) -> Option<u32> {
    let power = |hz: u32| power_at(samples, f64::from(hz));
    let energy: f64 = samples.iter().map(|sample| sample * sample).sum();
    let loudest = [440, 880, 1_320]
        .into_iter()
        .max_by(|one, other| power(*one).total_cmp(&power(*other)));
    // Of a sine in a block of n samples the power is n/2 times its energy.
    loudest.filter(|hz| power(*hz) > 0.8 * 80.0 * energy && energy > 1e4 * samples.len() as f64)
}

/// The tones of a track one after the other, each half second in which there is one alone.
fn melody(track: &[f64]) -> Vec<u32> {
    let mut melody: Vec<_> = track.chunks_exact(4_000).filter_map(tone).collect();
    melody.dedup();
    melody
}

/// From the answer of the first agent to the first BYE of the customer, or of anybody, in seconds, as the server saw it.
fn talk_time(capture: &Capture) -> f64 {
    let time = |filter: &str| {
        let rows = capture.fields(filter, &["frame.time_epoch"]);
        rows.first().expect("a message")[0]
            .parse::<f64>()
            .expect("a time")
    };
    let answer = time(
        "sip.Status-Code == 200 && sip.CSeq.method == \"INVITE\" && sip.from.addr contains \"customer\" && sip.to.addr contains \"support\" && sip.Contact contains \"alice\"",
    );
    time("sip.Method == \"BYE\" && sip.from.addr contains \"customer\"") - answer
}

/// What the database says of recordings: call, file, samples, and how the call ended.
fn stored(server: &CallCenter) -> Vec<(u32, String, Option<i64>, String)> {
    let database = rusqlite::Connection::open(server.file("callcenter.db")).expect("the database");
    let mut query = database
        .prepare(
            "SELECT call, file, samples, cause FROM recordings JOIN calls ON number = call ORDER BY call",
        )
        .expect("a query");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn both_sides_are_in_their_channels_as_long_as_they_talk_and_across_a_transfer() {
    require!(Tshark);
    for (transfer, right) in [("no", vec![880]), ("yes", vec![880, 1_320])] {
        let mut server = callcenter(RECORDED);
        passes(customer(&server, transfer, 2));
        server.stop();
        let files = files(&server);
        assert_eq!(files.len(), 1, "{files:?}");
        let tracks = tracks(&files[0]);
        assert_eq!(melody(&tracks[0]), [440]);
        assert_eq!(melody(&tracks[1]), right);
        let talked = talk_time(&Capture::open(&server.capture()));
        let recorded = tracks[0].len() as f64 / 8_000.0;
        assert!((talked - recorded).abs() < 0.1, "{talked} {recorded}");
        let stored = stored(&server);
        assert_eq!(stored.len(), 1, "{stored:?}");
        let (call, file, samples, _) = &stored[0];
        assert_eq!((*call, samples), (1, &Some(tracks[0].len() as i64)));
        assert_eq!(*file, name(&files[0]));
    }
}

#[test]
fn a_call_of_baresip_is_recorded() {
    require!(Baresip, Tshark);
    let mut server = callcenter("[recordings]\ndirect = true\n");
    let at = server.address();
    let mut bob = Baresip::registered("bob", "bobpw", at, "udp", 440);
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/call-registered.rhai");
    let mut command = command();
    command.arg("run").arg(scenario);
    for setting in [&format!("domain={at}"), "callee=bob", "listens=yes"] {
        command.args(["--set", setting]);
    }
    passes(
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs"),
    );
    bob.stop();
    server.stop();
    let files = files(&server);
    assert_eq!(files.len(), 1, "{files:?}");
    let tracks = tracks(&files[0]);
    assert_eq!((melody(&tracks[0]), melody(&tracks[1])), (vec![880], vec![440]));
}

#[test]
fn packets_of_strangers_do_not_come_into_a_recording() {
    require!(Tshark);
    let mut server = callcenter(RECORDED);
    let customer = customer(&server, "no", 4);
    wait_for("a recording", || {
        files(&server).first().is_some_and(|part| size_of(part) > 32_000)
    });
    let ports = server.media_ports();
    assert!(ports.len() >= 4, "{ports:?}");
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut dice: u32 = 1;
    let mut datagram = [0; 172];
    for round in 0..500u32 {
        for byte in &mut datagram {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (dice >> 24) as u8;
        }
        // Every other one is RTP of the right format: loud noise, from another source each time or from one.
        if round % 2 == 0 {
            datagram[..4].copy_from_slice(&[0x80, 0, (round >> 8) as u8, round as u8]);
            datagram[8..12].copy_from_slice(&(round % 3).to_be_bytes());
        }
        for port in &ports {
            stranger
                .send_to(&datagram, ("127.0.0.1", *port))
                .expect("it leaves");
        }
        std::thread::park_timeout(Duration::from_millis(4));
    }
    passes(customer);
    server.stop();
    let tracks = tracks(&files(&server)[0]);
    assert_eq!((melody(&tracks[0]), melody(&tracks[1])), (vec![440], vec![880]));
    let pure = |track: &[f64], hz| {
        let pieces: Vec<_> = track[8_000..track.len() - 4_000]
            .chunks_exact(4_000)
            .map(tone)
            .collect();
        assert!(pieces.iter().all(|heard| *heard == Some(hz)), "{hz}: {pieces:?}");
    };
    pure(&tracks[0], 440);
    pure(&tracks[1], 880);
    let talked = talk_time(&Capture::open(&server.capture()));
    let recorded = tracks[0].len() as f64 / 8_000.0;
    assert!((talked - recorded).abs() < 0.1, "{talked} {recorded}");
}

/// Waits for something that nothing tells.
#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("{what}: not within 20 s");
}

fn size_of(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

#[test]
fn what_a_crash_leaves_is_finished_and_named_in_the_record() {
    let mut server = callcenter(RECORDED);
    let mut customer = customer(&server, "no", 60);
    wait_for("three seconds of a recording", || {
        files(&server)
            .first()
            .is_some_and(|part| size_of(part) > 3 * 32_000)
    });
    server.crash_and_start_again();
    customer.kill().expect("it runs");
    customer.wait().expect("it ends");
    wait_for("the fact", || server.log_after_crash().contains("samples="));
    server.stop();
    let files = files(&server);
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(name(&files[0]).ends_with("-call-1.wav"), "{files:?}");
    let tracks = tracks(&files[0]);
    assert_eq!((melody(&tracks[0]), melody(&tracks[1])), (vec![440], vec![880]));
    assert!(tracks[0].len() >= 3 * 8_000);
    let expected = (1, name(&files[0]), Some(tracks[0].len() as i64));
    let stored = stored(&server);
    assert_eq!(stored.len(), 1, "{stored:?}");
    let (call, file, samples, cause) = stored[0].clone();
    assert_eq!((call, file, samples), expected);
    assert!(cause.contains("restart"), "{cause}");
}

/// A disk of 96 KiB on a folder, as long as it is there.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(folder: &Path) -> Option<SmallDisk<'_>> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut mount = Command::new("mount");
        let mounted = mount
            .args(["-t", "tmpfs", "-o", "size=96k", "tmpfs"])
            .arg(folder)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn on_a_full_disk_the_recording_ends_and_the_call_goes_on() {
    let mut server = callcenter(RECORDED);
    let folder = server.file("recordings");
    let Some(_disk) = SmallDisk::mount(&folder) else {
        eprintln!("skipped: only root can make a disk that is full");
        return;
    };
    // Six seconds of talk, of which the disk takes three.
    passes(customer(&server, "yes", 3));
    server.stop();
    let files = files(&server);
    assert_eq!(files.len(), 1, "{files:?}");
    let tracks = tracks(&files[0]);
    assert_eq!((melody(&tracks[0]), melody(&tracks[1])[0]), (vec![440], 880));
    assert!(tracks[0].len() < 4 * 8_000, "{}", tracks[0].len());
    let log = server.log();
    assert!(
        log.contains("the recording ends here, and the call goes on"),
        "{log}"
    );
    let stored = stored(&server);
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!(stored[0].2, Some(tracks[0].len() as i64));
}
