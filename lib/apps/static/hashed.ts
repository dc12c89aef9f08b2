// Whether a file's name contains the hash of its content, as bundlers write it: such a file never changes.

const ENDING =
  /(?:\.(?:chunk|bundle|min|module))?(?:\.[mc]?js|\.css)?\.(?:[mc]?js|css|map|wasm|json|webmanifest|woff2?|ttf|otf|eot|svg|png|jpe?g|gif|webp|avif|ico|mp4|webm|mp3|ogg|wav|flac|aac|m4a|opus)$/;
/** webpack, Parcel, Vite before 4: `main.3f9c2ab1.css`, or nothing but the hash. */
const HEX = /(?:^|[.~_-])([0-9a-f]{8,64})$/;
/** Rollup, Vite: `index-BkH2xVqR.js`. Any of the 64 characters, including "-" and "_". */
const BASE64 = /(?:^|[.~_-])([A-Za-z0-9_-]{8})$/;
/** esbuild: `chunk-5VJ3QRK2.js`. */
const BASE32 = /^[A-Z2-7]{8}$/;

/** The hash that a name may contain, and its spelling; null: none. */
function hashIn(name: string): { spelling: "hex" | "base32" | "base64"; hash: string } | null {
  const stem = name.replace(ENDING, "");
  if (stem === name) return null;
  const hex = HEX.exec(stem)?.[1];
  if (hex !== undefined) return { spelling: "hex", hash: hex };
  const hash = BASE64.exec(stem)?.[1];
  return hash === undefined ? null : { spelling: BASE32.test(hash) ? "base32" : "base64", hash };
}

/**
 * The number of parts that a person would read: words, abbreviations, numbers. `iPhone15` has three, `BkH2xVqR` six.
 */
const partsOf = (text: string): number => (text.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+/g) ?? []).length;
const has = (text: string, ...signs: RegExp[]) => signs.every((sign) => sign.test(text));

/**
 * Whether a name surely contains a hash, whoever chose it: no name that people choose, such as `photo-iPhone15.jpg`.
 */
export function isHashed(name: string): boolean {
  const found = hashIn(name);
  if (found === null) return false;
  const { spelling, hash } = found;
  // A word and a number, or a date: `facade02`, `20240115a`.
  if (spelling === "hex") return has(hash, /[a-f]/, /\d/) && !/^(?:[a-f]{3,}\d+|(?:19|20)\d{6}[a-f]*)$/.test(hash);
  return partsOf(hash) >= 4 && (spelling === "base32" || has(hash, /[a-z]/, /[A-Z]/));
}

/** Whether a name looks hashed: true if a build made the file, and nobody chose its name. */
export function looksHashed(name: string): boolean {
  const found = hashIn(name);
  if (found === null) return false;
  const { spelling, hash } = found;
  if (spelling === "hex") return has(hash, /[a-f]/, /\d/);
  if (spelling === "base32") return true;
  return partsOf(hash) >= 3 && [/[a-z]/, /[A-Z]/, /\d/].filter((sign) => sign.test(hash)).length >= 2;
}

/** Whether a name may contain a hash: such files of the previous release are kept for a while. */
export function mayBeHashed(name: string): boolean {
  const stem = name.replace(ENDING, "");
  const text = stem === name ? "" : (/[.~_-]([A-Za-z0-9_-]{8,64})$/.exec(stem)?.[1] ?? "");
  return has(text, /[\dA-Z]/, /[A-Za-z]/) || looksHashed(name);
}
