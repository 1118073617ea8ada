# The image of Callwright: one static binary, the root certificates and what a name needs to be looked up.
# `cargo xtask image` puts these into rootfs/ of its build folder and builds this file there, without an engine.
FROM scratch
COPY rootfs/ /
# Mount scenarios here, read-only or not; recordings and reports go here too.
WORKDIR /work
ENTRYPOINT ["/callwright"]
