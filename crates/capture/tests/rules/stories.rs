//! Packets written by hand: what no engine of ours would send, and what is right although it looks odd.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use callwright_capture::rules::{Disturbance, Rule, Rules, RulesConfig};
use callwright_wire::{Carrier, Fate, Residue, TapRecord, Time};

const A: &str = "192.0.2.1:5060";
const B: &str = "192.0.2.2:5060";

/// What is told to the rules, with a time in milliseconds.
struct Story {
    rules: Rules,
    now: Time,
    carrier: Carrier,
    fate: Fate,
}

/// A message in which `$` stands for the line that tells it from others: the parts that every message needs are added.
struct Say {
    first: &'static str,
    branch: &'static str,
    call: &'static str,
    cseq: &'static str,
    to_tag: &'static str,
    from_tag: &'static str,
    more: String,
    body: String,
    swapped: bool,
}

fn say(first: &'static str, branch: &'static str, cseq: &'static str) -> Say {
    Say {
        first,
        branch,
        call: "call-1",
        cseq,
        to_tag: "",
        from_tag: "a",
        more: String::new(),
        body: String::new(),
        swapped: false,
    }
}

impl Say {
    fn to(mut self, tag: &'static str) -> Say {
        self.to_tag = tag;
        self
    }

    /// From the one who was called.
    fn swapped(mut self) -> Say {
        self.swapped = true;
        self
    }

    fn call(mut self, call: &'static str) -> Say {
        self.call = call;
        self
    }

    fn with(mut self, line: &str) -> Say {
        self.more += line;
        self.more += "\r\n";
        self
    }

    fn sdp(mut self, version: u32, lines: usize) -> Say {
        let ip = if self.first.starts_with("SIP/") != self.swapped {
            "192.0.2.2"
        } else {
            "192.0.2.1"
        };
        self.body = format!("v=0\r\no=- 7 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n");
        for _ in 0..lines {
            self.body += "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
        }
        self
    }

    fn bytes(&self) -> Bytes {
        let tag = |tag: &str| {
            if tag.is_empty() {
                String::new()
            } else {
                format!(";tag={tag}")
            }
        };
        let (from, to, sent_by) = if self.swapped {
            (
                format!("<sip:b@b>{}", tag(self.to_tag)),
                format!("<sip:a@a>{}", tag(self.from_tag)),
                B,
            )
        } else {
            (
                format!("<sip:a@a>{}", tag(self.from_tag)),
                format!("<sip:b@b>{}", tag(self.to_tag)),
                A,
            )
        };
        let request = !self.first.starts_with("SIP/");
        let mut text = if request {
            format!("{} SIP/2.0\r\n", self.first)
        } else {
            format!("{}\r\n", self.first)
        };
        text += &format!("Via: SIP/2.0/UDP {sent_by};branch={}\r\n", self.branch);
        text += &format!(
            "From: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n",
            self.call, self.cseq
        );
        if request {
            text += "Max-Forwards: 70\r\n";
        }
        let contact = if request == self.swapped { B } else { A };
        text += &format!("Contact: <sip:{contact}>\r\n");
        text += &self.more;
        if !self.body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        text += &format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        text.into()
    }
}

fn invite(branch: &'static str, cseq: &'static str) -> Say {
    say("INVITE sip:192.0.2.2:5060", branch, cseq)
}

impl Story {
    fn new() -> Self {
        Story {
            rules: Rules::new(RulesConfig::default()),
            now: Time::ZERO,
            carrier: Carrier::Udp,
            fate: Fate::Sent,
        }
    }

    fn at(&mut self, millis: u64) -> &mut Self {
        self.now = Time::from_millis(millis);
        self
    }

    fn lost(&mut self) -> &mut Self {
        self.fate = Fate::Lost;
        self
    }

    fn bytes(&mut self, party: u32, from: &str, to: &str, bytes: Bytes) -> &mut Self {
        let record = TapRecord {
            time: self.now,
            source: from.parse().unwrap(),
            destination: to.parse().unwrap(),
            carrier: self.carrier,
            fate: std::mem::replace(&mut self.fate, Fate::Sent),
            bytes,
            cause: None,
            party,
        };
        self.rules.observe(&record);
        self
    }

    fn a(&mut self, say: Say) -> &mut Self {
        self.bytes(1, A, B, say.bytes())
    }

    fn b(&mut self, say: Say) -> &mut Self {
        self.bytes(2, B, A, say.bytes())
    }

    /// A and B say something else, each: they live.
    fn alive(&mut self) -> &mut Self {
        let options = say("OPTIONS sip:192.0.2.2:5060", "z9hG4bKalive", "1 OPTIONS").call("alive");
        self.a(options);
        self.b(say("SIP/2.0 200 OK", "z9hG4bKalive", "1 OPTIONS")
            .call("alive")
            .to("x"))
    }

    fn rtp(&mut self, sequence: u16, timestamp: u32) -> &mut Self {
        self.packet("192.0.2.1:4000", "192.0.2.2:4000", 7, sequence, timestamp, 0)
    }

    fn packet(
        &mut self,
        from: &str,
        to: &str,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        sound: u8,
    ) -> &mut Self {
        let header = callwright_media::rtp::Header {
            sequence,
            timestamp,
            ssrc,
            ..Default::default()
        };
        let mut bytes = vec![0; 172];
        // A sound that tells one packet from another.
        let payload = [sound.wrapping_add(timestamp as u8); 160];
        header.write(&payload, &mut bytes).unwrap();
        let from_server = from.starts_with("192.0.2.250");
        self.bytes(if from_server { 9 } else { 1 }, from, to, bytes.into())
    }

    #[track_caller]
    fn broken(&mut self, rules: &[Rule]) {
        self.rules.finish(self.now, &[]);
        let violations = self.rules.take_violations();
        let found: Vec<Rule> = violations.iter().map(|violation| violation.rule).collect();
        assert_eq!(found, rules, "{violations:#?}");
    }

    fn checks(&self, rule: Rule) -> u64 {
        self.rules.tally()[rule as usize].checks
    }

    /// A call of A and B that is established.
    fn call(&mut self) -> &mut Self {
        self.at(0).a(invite("z9hG4bK1", "1 INVITE").sdp(1, 1));
        self.at(10)
            .b(say("SIP/2.0 180 Ringing", "z9hG4bK1", "1 INVITE").to("b"));
        self.at(20)
            .b(say("SIP/2.0 200 OK", "z9hG4bK1", "1 INVITE").to("b").sdp(1, 1));
        self.at(30)
            .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK2", "1 ACK").to("b"))
    }

    fn bye(&mut self, millis: u64) -> &mut Self {
        self.at(millis)
            .a(say("BYE sip:192.0.2.2:5060", "z9hG4bKbye", "9 BYE").to("b"));
        self.at(millis + 10)
            .b(say("SIP/2.0 200 OK", "z9hG4bKbye", "9 BYE").to("b"))
    }
}

#[test]
fn a_call_by_the_book() {
    let mut story = Story::new();
    story.call().bye(5_000).broken(&[]);
    for rule in [
        Rule::Legal,
        Rule::ContentLength,
        Rule::MaxForwards,
        Rule::Via,
        Rule::Branch,
        Rule::Contact,
        Rule::Tags,
        Rule::CSeq,
        Rule::ResponseEcho,
        Rule::RouteSet,
        Rule::TransactionEnd,
        Rule::InviteFinal,
        Rule::Ack,
        Rule::DialogEnd,
        Rule::AnswerLines,
        Rule::OneOffer,
    ] {
        assert!(story.checks(rule) > 0, "{rule}");
    }
}

#[test]
fn retransmissions_at_their_intervals_are_right() {
    let mut story = Story::new();
    let options = || say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK1", "1 OPTIONS");
    for millis in [0, 500, 1_500, 3_500, 7_500, 11_500] {
        story.at(millis).lost().a(options());
    }
    story.broken(&[]);
    assert_eq!(story.checks(Rule::Retransmission), 5);
}

#[test]
fn a_retransmission_comes_too_early() {
    let mut story = Story::new();
    let options = || say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK1", "1 OPTIONS");
    story.at(0).lost().a(options()).at(500).lost().a(options());
    story
        .at(1_400)
        .lost()
        .a(options())
        .broken(&[Rule::Retransmission]);
}

#[test]
fn an_invite_is_repeated_after_it_rings() {
    let mut story = Story::new();
    story.at(0).a(invite("z9hG4bK1", "1 INVITE"));
    story
        .at(10)
        .b(say("SIP/2.0 180 Ringing", "z9hG4bK1", "1 INVITE").to("b"));
    story.at(500).a(invite("z9hG4bK1", "1 INVITE"));
    story.at(3_500).a(invite("z9hG4bK1", "1 INVITE"));
    story
        .at(3_600)
        .b(say("SIP/2.0 486 Busy Here", "z9hG4bK1", "1 INVITE").to("b"));
    story
        .at(3_700)
        .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK1", "1 ACK").to("b"));
    story.broken(&[Rule::Retransmission]);
}

#[test]
fn a_request_is_sent_for_longer_than_64_t1() {
    let mut story = Story::new();
    let options = || say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK1", "1 OPTIONS");
    for millis in [
        0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ] {
        story.at(millis).lost().a(options());
    }
    story
        .at(35_500)
        .lost()
        .a(options())
        .broken(&[Rule::TransactionEnd]);
}

#[test]
fn nobody_need_answer_what_never_arrived() {
    let mut story = Story::new();
    story
        .at(0)
        .lost()
        .a(say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK1", "1 OPTIONS"));
    story.at(20_000).alive().at(60_000).broken(&[]);
}

#[test]
fn who_lives_answers() {
    let mut story = Story::new();
    story
        .at(0)
        .a(say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK1", "1 OPTIONS"));
    story
        .at(20_000)
        .alive()
        .at(60_000)
        .broken(&[Rule::TransactionEnd]);
}

#[test]
fn who_crashed_does_not() {
    let mut story = Story::new();
    story.at(0).alive();
    let options = say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK7", "1 OPTIONS").call("call-2");
    story.a(options);
    story.call();
    story
        .rules
        .disturbed(Time::from_millis(1_000), Disturbance::PartyCrashed { party: 2 });
    story
        .rules
        .disturbed(Time::from_millis(2_000), Disturbance::PartyRestarted { party: 2 });
    story.at(20_000);
    let options = say("OPTIONS sip:192.0.2.2:5060", "z9hG4bKagain", "1 OPTIONS").call("again");
    story.a(options);
    story.b(say("SIP/2.0 200 OK", "z9hG4bKagain", "1 OPTIONS")
        .call("again")
        .to("x"));
    story.at(60_000).broken(&[]);
}

#[test]
fn who_left_neither_answers_nor_acknowledges() {
    let mut story = Story::new();
    story.at(0).alive();
    let options = say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK7", "1 OPTIONS").call("call-2");
    story.a(options);
    story
        .rules
        .disturbed(Time::from_millis(1), Disturbance::PartyLeft { party: 2 });
    story
        .at(10)
        .a(say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK8", "1 OPTIONS").call("call-3"));
    story
        .rules
        .disturbed(Time::from_millis(1_000), Disturbance::PartyRestarted { party: 2 });
    let options = say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK9", "1 OPTIONS").call("call-4");
    story.at(20_000).a(options);
    story.b(say("SIP/2.0 200 OK", "z9hG4bK9", "1 OPTIONS")
        .call("call-4")
        .to("x"));
    story.at(60_000).broken(&[]);
}

#[test]
fn who_hangs_up_at_once_must_have_acknowledged() {
    let mut story = Story::new();
    story.at(0).a(invite("z9hG4bK1", "1 INVITE"));
    story
        .at(20)
        .b(say("SIP/2.0 200 OK", "z9hG4bK1", "1 INVITE").to("b"));
    story.bye(100).broken(&[Rule::Ack]);
}

#[test]
fn nobody_hears_who_is_cut_off() {
    let mut story = Story::new();
    story.at(0).alive().call();
    story
        .rules
        .disturbed(Time::from_millis(100), Disturbance::PathCut { a: 2, b: 1 });
    story
        .at(200)
        .a(say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK7", "1 OPTIONS").call("call-2"));
    story
        .rules
        .disturbed(Time::from_millis(300), Disturbance::PathsHealed);
    story.at(20_000);
    let options = say("OPTIONS sip:192.0.2.2:5060", "z9hG4bK8", "1 OPTIONS").call("call-3");
    story.a(options);
    story.b(say("SIP/2.0 200 OK", "z9hG4bK8", "1 OPTIONS")
        .call("call-3")
        .to("x"));
    story.at(60_000).broken(&[]);
}

#[test]
fn who_is_exempt_may_send_anything() {
    let mut story = Story::new();
    story.rules.exempt(1);
    story.at(0).a(invite("old", "1 INVITE"));
    story.at(10).b(say("SIP/2.0 200 OK", "old", "1 INVITE").to("b"));
    story.bytes(1, A, B, Bytes::from_static(b"INVITE SIP/2.0\r\nnonsense\r\n\r\n"));
    let echo =
        "SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=1\r\nContent-Length: 0\r\n\r\n";
    story.bytes(2, B, A, Bytes::from_static(echo.as_bytes()));
    story.at(60_000).broken(&[]);
}

#[test]
fn several_answers_of_a_fork_are_right() {
    let mut story = Story::new();
    story.at(0).a(invite("z9hG4bK1", "1 INVITE"));
    story
        .at(10)
        .b(say("SIP/2.0 200 OK", "z9hG4bK1", "1 INVITE").to("b"));
    story
        .at(20)
        .b(say("SIP/2.0 200 OK", "z9hG4bK1", "1 INVITE").to("c"));
    story
        .at(30)
        .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK2", "1 ACK").to("b"));
    story
        .at(30)
        .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK3", "1 ACK").to("c"));
    story
        .at(40)
        .a(say("BYE sip:192.0.2.2:5060", "z9hG4bK4", "2 BYE").to("b"));
    story
        .at(50)
        .a(say("BYE sip:192.0.2.2:5060", "z9hG4bK5", "3 BYE").to("c"));
    story.at(60).b(say("SIP/2.0 200 OK", "z9hG4bK4", "2 BYE").to("b"));
    story.at(60).b(say("SIP/2.0 200 OK", "z9hG4bK5", "3 BYE").to("c"));
    story.at(60_000).broken(&[]);
    assert_eq!(story.checks(Rule::Ack), 2);
}

#[test]
fn the_ack_of_a_success_has_a_branch_of_its_own() {
    let mut story = Story::new();
    story.at(0).a(invite("z9hG4bK1", "1 INVITE"));
    story
        .at(10)
        .b(say("SIP/2.0 200 OK", "z9hG4bK1", "1 INVITE").to("b"));
    story
        .at(20)
        .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK1", "1 ACK").to("b"));
    story.bye(30).broken(&[Rule::Ack]);
}

#[test]
fn the_ack_of_a_refusal_has_the_branch_of_its_invite() {
    let mut story = Story::new();
    story.at(0).a(invite("z9hG4bK1", "1 INVITE"));
    story
        .at(10)
        .b(say("SIP/2.0 486 Busy Here", "z9hG4bK1", "1 INVITE").to("b"));
    story
        .at(20)
        .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK2", "1 ACK").to("b"));
    story.at(30_000).alive().at(60_000).broken(&[Rule::Ack]);
}

#[test]
fn a_cancel_has_the_branch_and_the_number_of_its_invite() {
    let mut story = Story::new();
    story.at(0).a(invite("z9hG4bK1", "1 INVITE"));
    story
        .at(10)
        .b(say("SIP/2.0 180 Ringing", "z9hG4bK1", "1 INVITE").to("b"));
    story
        .at(20)
        .a(say("CANCEL sip:192.0.2.2:5060", "z9hG4bK2", "1 CANCEL"));
    story
        .at(30)
        .a(say("CANCEL sip:192.0.2.2:5060", "z9hG4bK1", "2 CANCEL"));
    story
        .at(40)
        .b(say("SIP/2.0 200 OK", "z9hG4bK2", "1 CANCEL").to("b"));
    story
        .at(40)
        .b(say("SIP/2.0 200 OK", "z9hG4bK1", "2 CANCEL").to("b"));
    story
        .at(40)
        .b(say("SIP/2.0 487 Request Terminated", "z9hG4bK1", "1 INVITE").to("b"));
    story
        .at(50)
        .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK1", "1 ACK").to("b"));
    story.broken(&[Rule::Branch, Rule::CSeq]);
}

#[test]
fn requests_take_the_way_that_was_recorded() {
    let route = "Record-Route: <sip:192.0.2.9;lr>, <sip:192.0.2.8;lr>";
    let call = |route_of_bye: &str, route_back: &str| {
        let mut story = Story::new();
        story.at(0).a(invite("z9hG4bK1", "1 INVITE"));
        story
            .at(10)
            .b(say("SIP/2.0 200 OK", "z9hG4bK1", "1 INVITE").to("b").with(route));
        let ack = say("ACK sip:192.0.2.2:5060", "z9hG4bK2", "1 ACK").to("b");
        story
            .at(20)
            .a(ack.with("Route: <sip:192.0.2.8;lr>, <sip:192.0.2.9;lr>"));
        let info = say("INFO sip:192.0.2.1:5060", "z9hG4bK3", "1 INFO")
            .swapped()
            .to("b")
            .with(route_back);
        story.at(30).b(info);
        story
            .at(40)
            .a(say("SIP/2.0 200 OK", "z9hG4bK3", "1 INFO").swapped().to("b"));
        let bye = say("BYE sip:192.0.2.2:5060", "z9hG4bK4", "2 BYE")
            .to("b")
            .with(route_of_bye);
        story.at(50).a(bye);
        story.at(60).b(say("SIP/2.0 200 OK", "z9hG4bK4", "2 BYE").to("b"));
        story
    };
    let (there, back) = (
        "Route: <sip:192.0.2.8;lr>, <sip:192.0.2.9;lr>",
        "Route: <sip:192.0.2.9;lr>, <sip:192.0.2.8;lr>",
    );
    call(there, back).broken(&[]);
    call(back, back).broken(&[Rule::RouteSet]);
    call(there, there).broken(&[Rule::RouteSet]);
    call(there, "X-Way: none").broken(&[Rule::RouteSet]);
}

#[test]
fn a_request_goes_to_the_contact_of_the_peer() {
    let mut story = Story::new();
    story.call();
    story
        .at(50)
        .a(say("BYE sip:192.0.2.77", "z9hG4bK4", "2 BYE").to("b"));
    story.at(60).b(say("SIP/2.0 200 OK", "z9hG4bK4", "2 BYE").to("b"));
    story.broken(&[Rule::RouteSet]);
}

#[test]
fn an_offer_follows_another_that_is_open() {
    let mut story = Story::new();
    story.call();
    story.at(100).a(invite("z9hG4bK5", "2 INVITE").to("b").sdp(2, 1));
    story
        .at(110)
        .b(say("SIP/2.0 100 Trying", "z9hG4bK5", "2 INVITE").to("b"));
    story
        .at(120)
        .a(say("UPDATE sip:192.0.2.2:5060", "z9hG4bK6", "3 UPDATE")
            .to("b")
            .sdp(3, 1));
    story
        .at(130)
        .b(say("SIP/2.0 500 Server Internal Error", "z9hG4bK6", "3 UPDATE").to("b"));
    story
        .at(140)
        .b(say("SIP/2.0 200 OK", "z9hG4bK5", "2 INVITE").to("b").sdp(2, 1));
    story
        .at(150)
        .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK7", "2 ACK").to("b"));
    story.bye(5_000).broken(&[Rule::OneOffer]);
}

#[test]
fn an_offer_in_a_response_is_answered_in_the_ack() {
    for (lines, broken) in [(1, &[][..]), (2, &[Rule::AnswerLines][..])] {
        let mut story = Story::new();
        story.at(0).a(invite("z9hG4bK1", "1 INVITE"));
        story
            .at(20)
            .b(say("SIP/2.0 200 OK", "z9hG4bK1", "1 INVITE").to("b").sdp(1, 1));
        let ack = || {
            say("ACK sip:192.0.2.2:5060", "z9hG4bK2", "1 ACK")
                .to("b")
                .sdp(1, lines)
        };
        story.at(30).a(ack());
        story
            .at(500)
            .b(say("SIP/2.0 200 OK", "z9hG4bK1", "1 INVITE").to("b").sdp(1, 1));
        story.at(510).a(ack());
        story.bye(1_000).broken(broken);
        assert_eq!(story.checks(Rule::AnswerLines), 1);
    }
}

#[test]
fn a_version_rises_by_one() {
    for (version, lines, broken) in [
        (1, 1, &[][..]),
        (2, 2, &[][..]),
        (1, 2, &[Rule::SdpVersion][..]),
        (3, 1, &[Rule::SdpVersion][..]),
    ] {
        let mut story = Story::new();
        story.call();
        story
            .at(100)
            .a(invite("z9hG4bK5", "2 INVITE").to("b").sdp(version, lines));
        story
            .at(140)
            .b(say("SIP/2.0 488 Not Acceptable Here", "z9hG4bK5", "2 INVITE").to("b"));
        story
            .at(150)
            .a(say("ACK sip:192.0.2.2:5060", "z9hG4bK5", "2 ACK").to("b"));
        story.bye(5_000).broken(broken);
    }
}

#[test]
fn a_message_on_a_stream_needs_a_length_that_is_right() {
    let mut story = Story::new();
    story.carrier = Carrier::Tcp;
    let text = |length: &str| {
        format!(
            "OPTIONS sip:b@b SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK{length}\r\nFrom: <sip:a@a>;tag=a\r\n\
             To: <sip:b@b>\r\nCall-ID: {length}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: {length}\r\n\
             Content-Type: text/plain\r\n\r\nhello\r\n"
        )
    };
    let (right, short) = (text("7"), text("3"));
    story.bytes(1, A, B, right[..40].to_owned().into());
    story.bytes(1, A, B, right[40..].to_owned().into());
    story.bytes(1, A, B, short.into());
    story.bytes(1, A, B, text("7").into());
    story.broken(&[Rule::ContentLength]);
}

#[test]
fn a_stream_that_is_not_sip_is_none_of_ours() {
    let mut story = Story::new();
    story.carrier = Carrier::Tcp;
    let text = Bytes::from_static(b"POST / HTTP/1.1\r\nHost: mock\r\nContent-Length: 2\r\n\r\nhi");
    story
        .bytes(1, A, B, text.clone())
        .bytes(1, A, B, text)
        .broken(&[]);
}

#[test]
fn no_request_is_repeated_over_a_stream() {
    let mut story = Story::new();
    story.carrier = Carrier::Tcp;
    let text = Bytes::from_static(
        b"OPTIONS sip:b@b SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=a\r\nTo: <sip:b@b>\r\n\
          Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
    );
    story
        .bytes(1, A, B, text.clone())
        .at(500)
        .bytes(1, A, B, text)
        .broken(&[Rule::Retransmission]);
}

#[test]
fn rtp_goes_on_by_one() {
    let mut story = Story::new();
    for (step, sequence) in [65_534_u16, 65_535, 0, 1].into_iter().enumerate() {
        story.at(20 * step as u64).rtp(sequence, 160 * step as u32);
    }
    story.broken(&[]);
    assert_eq!(
        (story.checks(Rule::RtpSequence), story.checks(Rule::RtpTimestamp)),
        (3, 3)
    );
}

#[test]
fn rtp_pauses_for_as_long_as_its_timestamp_says() {
    let mut story = Story::new();
    story.at(0).rtp(1, 0).at(20).rtp(2, 160);
    story.at(1_020).rtp(3, 8_160).broken(&[]);
    let mut story = Story::new();
    story.at(0).rtp(1, 0).at(20).rtp(2, 160);
    story.at(40).rtp(3, 8_160).broken(&[Rule::RtpTimestamp]);
}

#[test]
fn a_relay_lacks_what_was_lost_before_it() {
    let relay = |lost: bool, late: bool| {
        let mut story = Story::new();
        for n in 0..40_u16 {
            story.at(20 * u64::from(n));
            if n == 5 && lost {
                story.lost();
            }
            story.packet(
                "192.0.2.1:4000",
                "192.0.2.250:6000",
                7,
                100 + n,
                160 * u32::from(n),
                3,
            );
            if n != 5 {
                story.packet(
                    "192.0.2.250:6002",
                    "192.0.2.2:4000",
                    8,
                    900 + n,
                    7_000 + 160 * u32::from(n),
                    171,
                );
            }
            if n == 8 && late {
                story.packet("192.0.2.250:6002", "192.0.2.2:4000", 8, 905, 7_000 + 160 * 5, 171);
            }
        }
        story.at(20_000);
        story
    };
    relay(true, false).broken(&[]);
    relay(false, true).broken(&[]);
    relay(false, false).broken(&[Rule::RtpSequence]);
}

#[test]
fn what_is_left_is_named() {
    let mut rules = Rules::new(RulesConfig::default());
    let residue = Residue {
        dialogs: 1,
        timers: 2,
        ..Residue::default()
    };
    let residues = [
        (3, "bob".to_owned(), residue),
        (4, "carol".to_owned(), Residue::default()),
    ];
    rules.finish(Time::from_secs(40), &residues);
    let [violation] = rules.violations() else {
        panic!("one is left with something")
    };
    assert_eq!(
        violation.to_string(),
        "40.000000s nothing-left: it still has 1 dialogs, 2 timers [what bob holds when everything is over] \
         (RFC 3261 §12.3, §17)"
    );
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_excused() {
    let config = RulesConfig {
        max_transactions: 8,
        max_calls: 4,
        max_media_streams: 4,
        max_addresses: 4,
        ..RulesConfig::default()
    };
    let mut rules = Rules::new(config);
    for n in 0..100_u16 {
        let text = format!(
            "INVITE sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:{n};branch=z9hG4bK{n}\r\nFrom: <sip:a@a>;tag=a\r\nTo: <sip:b@b>\r\n\
             Call-ID: {n}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@a>\r\nContent-Length: 0\r\n\r\n"
        );
        let record = TapRecord {
            time: Time::ZERO + Duration::from_millis(n.into()),
            source: SocketAddr::from(([192, 0, 2, 1], n)),
            destination: B.parse().unwrap(),
            carrier: Carrier::Udp,
            fate: Fate::Sent,
            bytes: text.into(),
            cause: None,
            party: 1,
        };
        rules.observe(&record);
    }
    rules.finish(Time::from_secs(100), &[]);
    assert_eq!(rules.violations(), []);
    let tally = rules.tally()[Rule::InviteFinal as usize];
    assert_eq!((tally.subjects, tally.excused, tally.checks), (100, 100, 0));
}
