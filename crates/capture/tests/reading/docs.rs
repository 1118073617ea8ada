//! The page about captures names what there is.

use callwright_capture::analysis::FindingKind;

const PAGE: &str = include_str!("../../../../docs/analyze.md");

#[test]
fn every_finding_stands_on_the_page_with_its_severity_and_source() {
    for kind in FindingKind::ALL {
        let row = format!(
            "| `{kind}` | {} | {} | {} |",
            kind.severity(),
            kind.description(),
            kind.source()
        );
        assert!(PAGE.contains(&row), "docs/analyze.md has no row\n{row}");
    }
}

#[test]
fn every_field_of_the_json_stands_on_the_page() {
    let mut pcap = super::build::Pcap::new();
    super::build::call(&mut pcap, "x", 1);
    let value = serde_json::to_value(pcap.analyze()).expect("JSON");
    for part in ["capture", "calls", "streams"] {
        let part = &value[part];
        let fields = part.as_object().or_else(|| part[0].as_object()).expect("fields");
        for field in fields.keys() {
            let name = field.trim_end_matches("_packet");
            let is_time = field.ends_with("_ms") || field.starts_with("first") || field.starts_with("last");
            let said = [format!("`{name}`"), format!("`{name}[]`")];
            assert!(
                is_time || said.iter().any(|said| PAGE.contains(said)),
                "docs/analyze.md does not say `{field}`"
            );
        }
    }
}
