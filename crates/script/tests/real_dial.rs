//! Targets that cannot be called, over real sockets of loopback.

mod real;

use real::run;

const A: &str = "let a = agent(\"A\", #{ username: \"a\", domain: \"127.0.0.1\" });\n";

#[test]
fn an_address_that_the_agent_cannot_send_to_is_an_error_at_its_line() {
    for target in ["sip:x@[2001:db8::1]", "sip:x@[::1]:5080"] {
        let ran = run(&format!("{A}a.dial(\"{target}\");"));
        let error = ran.error();
        assert!(
            error.starts_with(&format!("2: A: dial: no route to {target}: ")),
            "{error}"
        );
        assert!(
            error.contains("is an IPv6 address, and the agent sends from 127.0.0.1"),
            "{error}"
        );
    }
    // From loopback there is no way to the outside.
    let error = run(&format!("{A}a.dial(\"sip:x@192.0.2.1\");")).error();
    assert!(
        error.starts_with("2: A: dial: no route to sip:x@192.0.2.1: from 127.0.0.1: "),
        "{error}"
    );
}

#[test]
fn what_is_no_telephone_address_is_an_error_at_its_line() {
    let error = run(&format!("{A}a.dial(\"http://x\");")).error();
    assert!(
        error.starts_with("2: A: dial: \"http://x\" is no target: http: cannot be called"),
        "{error}"
    );
}

#[test]
fn a_name_that_does_not_resolve_is_named_by_the_reason() {
    let ran = run(&format!(
        "{A}a.dial(\"sip:bob@no-such-host.invalid\");\nawait_until(|| assert(a.state).equals(State::Idle), \"20s\");\nprint(a.reason);\nassert(a.reason).contains(\"no-such-host.invalid\");"
    ));
    ran.passed();
}
