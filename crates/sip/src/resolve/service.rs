//! NAPTR and SRV records put in order (RFC 3263 §4.1, RFC 3403 §4.1, RFC 2782).

use callwright_wire::{DnsRecord, Entropy, Transport};

/// A transport and the SRV name that leads to its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NaptrChoice {
    pub(super) transport: Transport,
    pub(super) name: String,
}

impl NaptrChoice {
    /// The SRV name where no NAPTR record names one (RFC 3263 §4.1).
    pub(super) fn srv_of(transport: Transport, host: &str) -> NaptrChoice {
        let prefix = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        NaptrChoice {
            transport,
            name: format!("{prefix}.{host}"),
        }
    }
}

/// A server: one target of an SRV record, or a host with its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) transport: Transport,
    pub(super) host: String,
    pub(super) port: u16,
}

/// The services of NAPTR records that are known here, the best first: by order, then preference (RFC 3403 §4.1).
pub(super) fn naptr_choices(records: &[DnsRecord]) -> Vec<NaptrChoice> {
    let mut ranked: Vec<(u16, u16, NaptrChoice)> = records.iter().filter_map(ranked_choice).collect();
    ranked.sort_by_key(|(order, preference, _)| (*order, *preference));
    ranked.into_iter().map(|(_, _, choice)| choice).collect()
}

fn ranked_choice(record: &DnsRecord) -> Option<(u16, u16, NaptrChoice)> {
    let DnsRecord::Naptr {
        order,
        preference,
        flags,
        services,
        replacement,
    } = record
    else {
        return None;
    };
    // RFC 3263 §4.1: the flag is "s", the replacement an SRV name.
    if !flags.eq_ignore_ascii_case("s") {
        return None;
    }
    let known = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
    ];
    let (_, transport) = known
        .into_iter()
        .find(|(token, _)| services.eq_ignore_ascii_case(token))?;
    Some((
        *order,
        *preference,
        NaptrChoice {
            transport,
            name: replacement.clone(),
        },
    ))
}

/// The targets of SRV records in the order to try them: by priority, and within one at random by weight (RFC 2782).
pub(super) fn srv_in_order(
    transport: Transport,
    records: &[DnsRecord],
    entropy: &mut Entropy,
) -> Vec<Service> {
    let mut left: Vec<(u16, u16, Service)> = records
        .iter()
        .filter_map(|record| match record {
            // RFC 2782: the target "." says that the service is decidedly not available.
            DnsRecord::Srv { target, .. } if target.is_empty() || target == "." => None,
            DnsRecord::Srv {
                priority,
                weight,
                port,
                target,
            } => Some((
                *priority,
                *weight,
                Service {
                    transport,
                    host: target.clone(),
                    port: *port,
                },
            )),
            DnsRecord::Naptr { .. } | DnsRecord::Address(_) => None,
        })
        .collect();
    // RFC 2782: those of weight 0 come first in each priority. The name makes the order independent of the answer's.
    left.sort_by(|a, b| (a.0, a.1, &a.2.host, a.2.port).cmp(&(b.0, b.1, &b.2.host, b.2.port)));
    let mut ordered = Vec::with_capacity(left.len());
    while let Some((priority, _, _)) = left.first() {
        let group = left.iter().take_while(|(p, _, _)| p == priority).count();
        let total: u64 = left[..group]
            .iter()
            .map(|(_, weight, _)| u64::from(*weight))
            .sum();
        let drawn = if group == 1 { 0 } else { entropy.below(total + 1) };
        let mut sum = 0;
        let chosen = left[..group].iter().position(|(_, weight, _)| {
            sum += u64::from(*weight);
            sum >= drawn
        });
        ordered.push(left.remove(chosen.unwrap_or(0)).2);
    }
    ordered
}
