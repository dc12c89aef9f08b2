// Opens the C library, for the few calls that Bun does not offer.
import { dlopen, type FFIFunction } from "bun:ffi";

const MUSL = { arm64: "aarch64", x64: "x86_64" } as Record<string, string>;

/** The functions of the C library with these signatures, opened on first use. */
export function libcWith<const S extends Record<string, FFIFunction>>(symbols: S) {
  const open = () => {
    if (process.platform === "darwin") return dlopen("libSystem.B.dylib", symbols).symbols; // a laptop
    try {
      return dlopen("libc.so.6", symbols).symbols;
    } catch {
      // musl: the dynamic loader is also the C library.
      return dlopen(`libc.musl-${MUSL[process.arch]}.so.1`, symbols).symbols;
    }
  };
  let loaded: ReturnType<typeof open> | undefined;
  return () => (loaded ??= open());
}
