//! The rules by name, and how often each was looked at.

use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident $name:literal $description:literal, $precondition:literal, $reference:literal;)+) => {
        /// A rule of a protocol that can be judged from what passes on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $description] #[doc = ""] #[doc = concat!("Precondition: ", $precondition, ". ", $reference, ".")] $variant,)+
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Rule] = &[$(Rule::$variant),+];

            /// The name, as in reports: `cseq`, `rtp-sequence`, …
            pub const fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name,)+ }
            }

            /// What must hold, in one line.
            pub const fn description(self) -> &'static str {
                match self { $(Rule::$variant => $description,)+ }
            }

            /// When it is judged; elsewhere its subject is excused.
            pub const fn precondition(self) -> &'static str {
                match self { $(Rule::$variant => $precondition,)+ }
            }

            /// Where it is written.
            pub const fn reference(self) -> &'static str {
                match self { $(Rule::$variant => $reference,)+ }
            }
        }
    };
}

rules! {
    Legal "legal-message"
        "a message follows the grammar and has every header field that it needs",
        "its sender is not exempt", "RFC 3261 §7, §8.1.1";
    ContentLength "content-length"
        "Content-Length is there on a stream, and wherever it is there it is the length of the body",
        "its sender is not exempt", "RFC 3261 §18.3, §20.14";
    MaxForwards "max-forwards"
        "a request has Max-Forwards",
        "its sender is not exempt", "RFC 3261 §8.1.1.6";
    Via "via"
        "the topmost Via of a request names its transport and its sender",
        "the sent-by of the Via is an address", "RFC 3261 §8.1.1.7, §18.1.1";
    Branch "branch"
        "a branch begins with z9hG4bK and belongs to one transaction; CANCEL has that of its INVITE",
        "its sender is not exempt", "RFC 3261 §8.1.1.7, §9.1";
    Contact "contact"
        "a request that creates a dialog has a Contact, and so has the 2xx to it",
        "its sender is not exempt", "RFC 3261 §8.1.1.8, §12.1.1";
    Tags "tags"
        "From has a tag, To has one in every response above 100, and those of a dialog stay",
        "for a request inside a dialog: its dialog was seen from its start", "RFC 3261 §8.1.1.3, §8.2.6.2, §12.2";
    CSeq "cseq"
        "CSeq rises within a dialog in each direction, and ACK and CANCEL have the number of their INVITE",
        "the request comes from its user agent, not from a proxy", "RFC 3261 §8.1.1.5, §12.2.1.1, §9.1, §13.2.2.4";
    ResponseEcho "response-echo"
        "a response has Via, From, To, Call-ID and CSeq of its request",
        "its request was seen", "RFC 3261 §8.2.6.2";
    RouteSet "route-set"
        "a request inside a dialog has its Route set and goes to its remote target",
        "the dialog was seen from its start, and its Route set is of loose routers", "RFC 3261 §12.2.1.1";
    TransactionEnd "transaction-end"
        "a request is answered within 64·T1, and nobody sends it for longer than that",
        "it arrived, and whoever it was sent to is alive, reachable and said something later on", "RFC 3261 §17.1.1.2, §17.1.2.2";
    Retransmission "retransmission"
        "a request is sent again at T1 and doubled intervals, not after its answer, and never over a stream",
        "its sender was seen to send it first", "RFC 3261 §17.1.1.2, §17.1.2.2";
    InviteFinal "invite-final"
        "an INVITE gets one final response from each branch of its fork",
        "it arrived, and both sides are alive and reachable", "RFC 3261 §13.3.1, §17.2.1";
    Ack "ack"
        "a final response to INVITE is acknowledged: a 2xx in a transaction of its own, another in that of the INVITE",
        "it arrived in time, and the caller is alive, reachable and said something later on", "RFC 3261 §13.2.2.4, §17.1.1.3";
    DialogEnd "dialog-end"
        "a dialog that was confirmed ends by a BYE",
        "both sides stayed alive and reachable", "RFC 3261 §15";
    AnswerLines "answer-lines"
        "an answer has as many m= lines as its offer",
        "both were seen", "RFC 3264 §6";
    OneOffer "one-offer"
        "nobody makes another offer while his last one is open",
        "the dialog was seen from its start", "RFC 3264 §4";
    SdpVersion "sdp-version"
        "the o= line stays but for its version, which rises by one with each change",
        "an earlier description of the same side of the dialog was seen", "RFC 3264 §8";
    RtpSequence "rtp-sequence"
        "the sequence number of a stream rises by one a packet; what is relayed lacks what was lost on the way to the relay",
        "the stream was seen where it was sent", "RFC 3550 §5.1";
    RtpTimestamp "rtp-timestamp"
        "the timestamp of a stream rises by what its packets hold, and over a pause by the time that passed",
        "the packet follows its predecessor, and the clock of its format is known", "RFC 3550 §5.1, RFC 3551 §4.1";
    RtpEvent "rtp-event"
        "the packets of a telephone-event have one timestamp, and its duration does not fall",
        "the packet follows its predecessor, and the format was announced", "RFC 4733 §2.5.1.1";
    RtpPayloadType "rtp-payload-type"
        "a packet has a payload type that its receiver announced",
        "a session description named the receiver's address", "RFC 3264 §5.1, §6.1";
    NothingLeft "nothing-left"
        "a party holds nothing when everything is over",
        "everything had time to end", "RFC 3261 §12.3, §17";
}

impl Rule {
    /// How many there are.
    pub(crate) const COUNT: usize = Rule::ALL.len();
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often a rule was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The rule.
    pub rule: Rule,
    /// How often what it speaks of occurred.
    pub subjects: u64,
    /// How often its precondition did not hold: nothing was judged then.
    pub excused: u64,
    /// How often it was judged.
    pub checks: u64,
}

impl Tally {
    /// True when there was something to judge, and nothing was: the check itself does not work.
    pub fn is_idle(&self) -> bool {
        self.checks == 0 && self.subjects > self.excused
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} checks of {} subjects, {} excused",
            self.rule, self.checks, self.subjects, self.excused
        )
    }
}
