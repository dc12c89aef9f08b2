// Requests on the edge of what HTTP/1.1 allows, and what the relay must answer to each.

/** One request: its bytes, and the status that the relay answers with; 200 is the app's. */
export interface Case {
  name: string;
  bytes: string;
  status: number;
}

const get = (...fields: string[]) =>
  `GET / HTTP/1.1\r\n${["Host: web", ...fields].map((line) => `${line}\r\n`).join("")}\r\n`;
const post = (fields: string[], body: string) =>
  `POST / HTTP/1.1\r\n${["Host: web", ...fields].map((line) => `${line}\r\n`).join("")}\r\n${body}`;
const chunked = (body: string) => post(["Transfer-Encoding: chunked"], body);
const line = (text: string) => `${text}\r\nHost: web\r\n\r\n`;

const cases: readonly (readonly [string, string, number])[] = [
  // What must go through.
  ["a plain GET", get(), 200],
  ["a query of odd characters", line('GET /a?b={c}|[d]^`"<e> HTTP/1.1'), 200],
  ["OPTIONS *", line("OPTIONS * HTTP/1.1"), 200],
  ["a method of one's own", line("PROPFIND / HTTP/1.1"), 200],
  ["one CRLF before the request", `\r\n${get()}`, 200],
  ["values with tabs, spaces and latin1", get("A: \t b\tc\xe9 \t"), 200],
  ["an empty value", get("A:"), 200],
  ["a body with a length", post(["Content-Length: 3"], "abc"), 200],
  ["a body of length 0", post(["Content-Length: 0"], ""), 200],
  ["a body in chunks", chunked("3\r\nabc\r\n0\r\n\r\n"), 200],
  ["chunk sizes in both cases, with leading zeros", chunked("00A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), 200],
  ["a trailer", chunked("3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"), 200],
  ["a coding in capitals", post(["Transfer-Encoding: CHUNKED"], "0\r\n\r\n"), 200],
  ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 200],

  // Where the body ends, said twice, or so that two servers disagree.
  ["length and chunks", post(["Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n"), 400],
  ["chunks and length", post(["Transfer-Encoding: chunked", "Content-Length: 5"], "0\r\n\r\n"), 400],
  ["two lengths", post(["Content-Length: 3", "Content-Length: 4"], "abcd"), 400],
  ["the same length twice", post(["Content-Length: 3", "Content-Length: 3"], "abc"), 400],
  ["a list of lengths", post(["Content-Length: 3, 3"], "abc"), 400],
  ["a length with a sign", post(["Content-Length: +3"], "abc"), 400],
  ["a negative length", post(["Content-Length: -3"], "abc"), 400],
  ["a hex length", post(["Content-Length: 0x3"], "abc"), 400],
  ["a length with a fraction", post(["Content-Length: 3.0"], "abc"), 400],
  ["a length with a leading zero", post(["Content-Length: 03"], "abc"), 400],
  ["a length of words", post(["Content-Length: three"], "abc"), 400],
  ["a length that is empty", post(["Content-Length:"], "abc"), 400],
  ["a length past 2^63", post(["Content-Length: 92233720368547758080"], "abc"), 400],
  ["a length with a space in it", post(["Content-Length: 3 0"], "abc"), 400],
  ["a length and a tab", post(["Content-Length: 3\t"], "abc"), 400],
  ["a length after a tab", post(["Content-Length:\t3"], "abc"), 400],
  ["a coding and a space", post(["Transfer-Encoding: chunked "], "0\r\n\r\n"), 400],
  ["a coding after a tab", post(["Transfer-Encoding:\tchunked"], "0\r\n\r\n"), 400],
  ["Content_Length", post(["Content_Length: 3"], "abc"), 400],
  ["Transfer_Encoding", post(["Transfer_Encoding: chunked"], "0\r\n\r\n"), 400],
  ["identity", post(["Transfer-Encoding: identity"], ""), 501],
  ["gzip, chunked", post(["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"), 501],
  ["chunked, chunked", post(["Transfer-Encoding: chunked, chunked"], "0\r\n\r\n"), 501],
  ["chunked, identity", post(["Transfer-Encoding: chunked, identity"], "0\r\n\r\n"), 501],
  ["chunked in quotes", post(['Transfer-Encoding: "chunked"'], "0\r\n\r\n"), 501],
  ["xchunked", post(["Transfer-Encoding: xchunked"], "0\r\n\r\n"), 501],
  ["chunked and a vertical tab", post(["Transfer-Encoding: \vchunked"], "0\r\n\r\n"), 400],
  ["chunked twice", post(["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "0\r\n\r\n"), 400],
  ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],

  // Fields.
  ["a space before a colon", get("A : b"), 400],
  ["a space before the colon of a length", post(["Content-Length : 3"], "abc"), 400],
  ["a folded line", get("A: b", " c"), 400],
  ["a folded line after the first", "GET / HTTP/1.1\r\n Host: web\r\n\r\n", 400],
  ["a folded coding", post(["Transfer-Encoding:", " chunked"], "0\r\n\r\n"), 501],
  ["a line without a colon", get("nothing"), 400],
  ["a field without a name", get(": b"), 400],
  ["a name with a bracket", get("A[1]: b"), 400],
  ["a name with NUL", get("A\0: b"), 400],
  ["a value with NUL", get("A: b\0c"), 400],
  ["a value with a bare CR", get("A: b\rc"), 400],
  ["a value with DEL", get("A: b\x7f"), 400],
  ["a value with an escape", get("A: \x1b[1m"), 400],
  ["lines that end in LF", "GET / HTTP/1.1\nHost: web\n\n", 400],
  ["one line that ends in LF", "GET / HTTP/1.1\r\nA: b\nHost: web\r\n\r\n", 400],
  ["an empty line of LF", "GET / HTTP/1.1\r\nHost: web\r\n\n", 400],
  ["CR CR LF", "GET / HTTP/1.1\r\nHost: web\r\r\n\r\n", 400],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", get("Host: other"), 400],
  ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400],
  ["a Host with a path", "GET / HTTP/1.1\r\nHost: web/x\r\n\r\n", 400],
  ["a Host with a user", "GET / HTTP/1.1\r\nHost: a@web\r\n\r\n", 400],
  ["a Host with a space", "GET / HTTP/1.1\r\nHost: web other\r\n\r\n", 400],
  ["Upgrade twice", get("Connection: upgrade", "Upgrade: a", "Upgrade: b"), 400],
  ["more than 100 fields", get(...Array.from({ length: 100 }, (_, i) => `A${i}: b`)), 431],
  ["a head of more than 32 KiB", get(`A: ${"a".repeat(33_000)}`), 431],
  ["a target of more than 32 KiB", line(`GET /${"a".repeat(33_000)} HTTP/1.1`), 431],

  // The first line.
  ["HTTP/0.9", "GET /\r\n\r\n", 400],
  ["the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["HTTP/2.0", line("GET / HTTP/2.0"), 505],
  ["HTTP/1.2", line("GET / HTTP/1.2"), 505],
  ["HTTP/1.10", line("GET / HTTP/1.10"), 400],
  ["http/1.1", line("GET / http/1.1"), 400],
  ["no version number", line("GET / HTTP/"), 400],
  ["an absolute target", line("GET http://web/ HTTP/1.1"), 400],
  ["an authority", line("CONNECT web:443 HTTP/1.1"), 400],
  ["CONNECT with a path", line("CONNECT / HTTP/1.1"), 405],
  ["a target without a slash", line("GET index.html HTTP/1.1"), 400],
  ["* for GET", line("GET * HTTP/1.1"), 400],
  ["a fragment", line("GET /#a HTTP/1.1"), 400],
  ["a space in the target", line("GET /a b HTTP/1.1"), 400],
  ["two spaces", line("GET  / HTTP/1.1"), 400],
  ["a tab", line("GET\t/ HTTP/1.1"), 400],
  ["a space after the version", line("GET / HTTP/1.1 "), 400],
  ["a space before the method", line(" GET / HTTP/1.1"), 400],
  ["a method with a slash", line("GE/T / HTTP/1.1"), 400],
  ["a method without end", `${"A".repeat(100)} / HTTP/1.1\r\nHost: web\r\n\r\n`, 400],
  ["a target of UTF-8", line("GET /\xc3\xa9 HTTP/1.1"), 400],
  ["NUL in the target", line("GET /\0 HTTP/1.1"), 400],
  ["two CRLFs before the request", `\r\n\r\n${get()}`, 400],
  ["LF before the request", `\n${get()}`, 400],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],

  // Chunks.
  ["a chunk size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400],
  ["a chunk size with a plus", chunked("+3\r\nabc\r\n0\r\n\r\n"), 400],
  ["a negative chunk size", chunked("-3\r\nabc\r\n0\r\n\r\n"), 400],
  ["a space before a chunk size", chunked(" 3\r\nabc\r\n0\r\n\r\n"), 400],
  ["a space after a chunk size", chunked("3 \r\nabc\r\n0\r\n\r\n"), 400],
  ["a space before an extension", chunked("3 ;a\r\nabc\r\n0\r\n\r\n"), 400],
  ["a chunk size with an underscore", chunked("1_0\r\n0123456789abcdef\r\n0\r\n\r\n"), 400],
  ["no chunk size", chunked("\r\nabc\r\n0\r\n\r\n"), 400],
  ["an extension without a size", chunked(";a\r\n\r\n"), 400],
  ["a chunk size that ends in LF", chunked("3\nabc\r\n0\r\n\r\n"), 400],
  ["a chunk size and a bare CR", chunked("3\rabc\r\n0\r\n\r\n"), 400],
  ["an extension", chunked("3;a=b\r\nabc\r\n0\r\n\r\n"), 400],
  ["an extension of the last chunk", chunked("3\r\nabc\r\n0;a\r\n\r\n"), 400],
  ["an extension with LF", chunked("3;a\nabc\r\n0\r\n\r\n"), 400],
  ["an extension in quotes", chunked('3;a="b"\r\nabc\r\n0\r\n\r\n'), 400],
  ["an extension in quotes that do not end", chunked('3;a="b\r\nabc\r\n0\r\n\r\n'), 400],
  ["an extension with a space", chunked("3; a\r\nabc\r\n0\r\n\r\n"), 400],
  ["an extension with NUL", chunked("3;\0\r\nabc\r\n0\r\n\r\n"), 400],
  ["an extension of 300 bytes", chunked(`3;${"a".repeat(300)}\r\nabc\r\n0\r\n\r\n`), 400],
  ["a chunk size of 13 digits", chunked("0000000000003\r\nabc\r\n0\r\n\r\n"), 400],
  ["a chunk size past 2^64", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), 400],
  ["a chunk that is longer than it says", chunked("3\r\nabcd\r\n0\r\n\r\n"), 400],
  ["a chunk that ends in LF", chunked("3\r\nabc\n0\r\n\r\n"), 400],
  ["a chunk without an end", chunked("3\r\nabc0\r\n\r\n"), 400],
  ["a trailer with a length", chunked("0\r\nContent-Length: 3\r\n\r\n"), 400],
  ["a trailer that is folded", chunked("0\r\nA: b\r\n c\r\n\r\n"), 400],
  ["a trailer that ends in LF", chunked("0\r\nA: b\n\r\n\r\n"), 400],
  ["a trailer of more than 8 KiB", chunked(`0\r\nA: ${"a".repeat(9_000)}\r\n\r\n`), 400],
];

/** The whole corpus. */
export const corpus: readonly Case[] = cases.map(([name, bytes, status]) => ({ name, bytes, status }));
