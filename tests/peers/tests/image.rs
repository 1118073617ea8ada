//! The image holds the product and nothing to break into.

use callwright_peers::Image;

#[test]
fn it_starts_without_an_engine() {
    let Some(image) = Image::find() else { return };
    let output = image.container().callwright(&["--version"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn it_has_no_shell() {
    let Some(image) = Image::find() else { return };
    assert!(!image.container().run(&["/bin/sh", "-c", "true"]).status.success());
}
