// Byte classes of HTTP tokens and values, and comparisons that make no string.

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const TAB = 9;
export const COLON = 58;
export const SEMICOLON = 59;

const table = (isIn: (byte: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, byte) => (isIn(byte) ? 1 : 0));

/** Bytes of a method or a field name. */
export const TOKEN = table((byte) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/.test(String.fromCharCode(byte)));
/** Bytes of a field value: no control characters except tab. */
export const VALUE = table((byte) => byte === TAB || (byte >= SP && byte !== 127));
/** Bytes of a request target: printable ASCII without "#". */
export const TARGET = table((byte) => byte > SP && byte < 127 && byte !== 35);
/** Bytes of a Host value. */
export const HOST = table((byte) => /^[A-Za-z0-9\-._~!$&'()*+;=%:[\]]$/.test(String.fromCharCode(byte)));

/** The value of a hex digit, or -1. */
export const HEX = Int8Array.from({ length: 256 }, (_, byte) => {
  const digit = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(digit) ? -1 : digit;
});

// "_" is folded into "-": through WSGI and CGI an app sees X_Forwarded_For under the same name as X-Forwarded-For.
const FOLD = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === 95) return 45;
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
});

/** Whether the bytes from `at` on are `word` (lower case), ignoring case, with "_" equal to "-". */
export function isWord(buffer: Uint8Array, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) if (FOLD[buffer[at + i]!] !== word.charCodeAt(i)) return false;
  return true;
}

/** The decimal number in `[at, end)`: digits only, no leading zero, at most `digits` of them; otherwise -1. */
export function decimal(buffer: Uint8Array, at: number, end: number, digits: number): number {
  const count = end - at;
  if (count < 1 || count > digits || (count > 1 && buffer[at] === 48)) return -1;
  let number = 0;
  for (let i = at; i < end; i++) {
    const digit = buffer[i]! - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}
