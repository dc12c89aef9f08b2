// Which builds of Bun run on a machine: asked in the same words here and on the server.

/** Prints `Linux x86_64 glibc`, or `musl` as its last word; nothing else is known to run dp's Bun. */
export const PLATFORM = `platform() {
    libc=glibc
    for loader in /lib/ld-musl-*; do
        if [ -e "$loader" ] && [ ! -e /lib64/ld-linux-x86-64.so.2 ] && [ ! -e /lib/ld-linux-aarch64.so.1 ]; then libc=musl; fi
    done
    echo "$(uname -s) $(uname -m) $libc"
}`;
