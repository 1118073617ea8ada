//! The body of the fuzz target over descriptions as they are met, whole, cut short and with a byte changed.

#[path = "../../../fuzz/bodies/sdp.rs"]
mod sdp;

const SEEDS: [&str; 3] = [
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=rtcp-mux\r\n",
    "v=0\r\no=x 9 9 IN IP6 2001:db8::1\r\ns= \r\nt=1 2\r\na=recvonly\r\nm=audio 6000 RTP/SAVP 8\r\nc=IN IP6 2001:db8::1\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20\r\na=rtcp:6009 IN IP4 192.0.2.7\r\nm=video 0 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n",
    "v=0\no=- 1 1 IN IP4 h\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nb=AS:64\nm=image 5000 udptl t38\nm=audio 65535/2 RTP/AVPF 0 300 0\na=rtpmap:0 PCMU/8000/1\na=inactive\na=sendonly\n",
];

#[test]
fn the_fuzz_body_holds_for_descriptions_and_their_neighbours() {
    for seed in SEEDS {
        let bytes = seed.as_bytes();
        sdp::session(bytes);
        for end in 0..bytes.len() {
            sdp::session(&bytes[..end]);
        }
        for position in 0..bytes.len() {
            for byte in *b"\n 9\xff" {
                let mut changed = bytes.to_vec();
                changed[position] = byte;
                sdp::session(&changed);
            }
        }
    }
}
