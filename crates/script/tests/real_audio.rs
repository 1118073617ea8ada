//! What is heard and recorded, over real sockets of loopback.

mod real;

use real::run;

/// Two calls of B at the same time, from A and from C, who send 440 and 1,800 Hz.
const TWO_CALLS: &str = r#"
    let a = agent("A", #{ username: "a", domain: "127.0.0.1" });
    let b = agent("B", #{ username: "b", domain: "127.0.0.1", auto_answer: true });
    let c = agent("C", #{ username: "c", domain: "127.0.0.1" });
    a.send_audio(tone(440));
    c.send_audio(tone(1800));
    a.dial(b.contact);
    await_until(|| assert(a.state).equals(State::Established));
    c.dial(b.contact);
    await_until(|| assert(c.state).equals(State::Established));
    await_until(|| assert(b.calls[1].phase).equals("established"));
"#;

#[test]
fn calls_at_the_same_time_are_mixed_in_a_recording_that_lasts_as_long_as_they_do() {
    let ran = run(&format!(
        "{TWO_CALLS} b.record(FOLDER + \"b.wav\"); b.calls[0].record(FOLDER + \"first.wav\"); wait(2);"
    ));
    ran.passed();
    let length = |name: &str| {
        let file = std::fs::metadata(ran.folder.join(name)).unwrap();
        (file.len() - 44) as f64 / 32_000.0
    };
    for name in ["b.wav", "first.wav"] {
        assert!((1.8..=2.6).contains(&length(name)), "{name}: {} s", length(name));
    }
}

#[test]
fn each_call_of_an_agent_is_listened_to_alone() {
    run(&format!(
        r#"{TWO_CALLS}
        b.calls[0].verify_audio(440, "2s");
        b.calls[1].verify_audio(1800, "2s");
        assert(b.calls[0].heard(440)).is_true();
        assert(b.calls[0].heard(1800)).is_false();
        "#
    ))
    .passed();
    let ran = run(&format!("{TWO_CALLS} b.calls[0].verify_audio(1800, \"500ms\");"));
    assert!(
        ran.error().contains("the strongest frequency was 440 Hz"),
        "{}",
        ran.error()
    );
}

#[test]
fn a_tone_is_not_heard_when_no_more_packets_arrive() {
    run(r#"
        let a = agent("A", #{ username: "a", domain: "127.0.0.1" });
        let b = agent("B", #{ username: "b", domain: "127.0.0.1", auto_answer: true });
        a.send_audio(tone(440));
        a.dial(b.contact);
        await_until(|| assert(b.heard(440)).is_true());
        b.hold();
        await_until(|| assert(a.calls[0].phase).equals("held"));
        wait("300ms");
        assert(b.heard(440)).is_false();
    "#)
    .passed();
}

#[test]
fn agents_without_a_call_with_each_other_are_not_connected() {
    let calls = r#"
        let a = agent("A", #{ username: "a", domain: "127.0.0.1" });
        let b = agent("B", #{ username: "b", domain: "127.0.0.1" });
        let c = agent("C", #{ username: "c", domain: "127.0.0.1", auto_answer: true });
        let d = agent("D", #{ username: "d", domain: "127.0.0.1", auto_answer: true });
        default_timeout("1s");
        a.dial(d.contact); b.dial(c.contact);
        for phone in [a, b, c, d] { await_until(|| assert(phone.state).equals(State::Established)); }
    "#;
    let ran = run(&format!(
        "{calls} d.send_audio(tone(1400)); c.send_audio(tone(1000)); verify_audio_connection(a, b);"
    ));
    assert!(ran.error().contains("audio: expected to hear"), "{}", ran.error());
    let both = "parallel([|| verify_audio_connection(a, c), || verify_audio_connection(b, d)]);";
    let ran = run(&format!("{calls} {both}"));
    assert!(
        ran.error().contains("audio: expected to hear"),
        "each would hear the other check's tones: {}",
        ran.error()
    );
    let together = "parallel([|| verify_audio_connection(a, d), || verify_audio_connection(b, c), || verify_audio_connection(d, a)]);";
    run(&format!("{calls} {together}")).passed();
}

#[test]
fn each_call_goes_on_with_what_it_sent_before_the_check() {
    run(&format!(
        r#"{TWO_CALLS}
        b.calls[0].send_audio(tone(700));
        b.calls[1].send_audio(tone(900));
        verify_audio_connection(b, c);
        verify_audio(c, 900, "2s");
        verify_audio(a, 700, "2s");
        verify_audio(b.calls[1], 1800, "2s");
        "#
    ))
    .passed();
}
