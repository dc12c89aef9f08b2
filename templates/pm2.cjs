// written by dp: what each worker of a cluster of pm2 loads first. In every worker pm2 opens the log on its own and never
// looks again; here it gets a log that becomes FILE.1 when it has grown to the limit, whereupon all go on in a new FILE.
"use strict";
const fs = require("fs");
const { spawnSync } = require("child_process");
const { Writable } = require("stream");
// As they are now, whatever the app does to them later.
const { closeSync, createWriteStream, fstatSync, ftruncateSync, openSync, renameSync, statSync, writeSync } = fs;

const log = {{log}};
const limit = {{limit}};
let fd = null;
let inode = "";
let next = limit; // the size at which it is time

const inodeOf = ({ dev, ino }) => `${dev} ${ino}`;

/** Whether what is open is still what the others, and `dp logs`, find. */
function isCurrent() {
  try {
    return fd !== null && inodeOf(statSync(log, { bigint: true })) === inode;
  } catch {
    return false;
  }
}

function reopen() {
  const old = fd;
  fd = null;
  if (old !== null) closeSync(old);
  fd = openSync(log, "a", 0o600);
  inode = inodeOf(fstatSync(fd, { bigint: true }));
  next = limit;
}

/** Puts the file away, unless another worker is at it or has done it. */
function rotate(size) {
  const before = inode;
  // The lock is that of the open file: it is ours until we close that, or end.
  const options = { stdio: ["ignore", "ignore", "ignore", fd], env: { PATH: "/usr/local/bin:/usr/bin:/bin" } };
  const isOurs = spawnSync("flock", ["-n", "3"], options).status === 0;
  if (isOurs && isCurrent() && fstatSync(fd).size >= limit) {
    try {
      renameSync(log, `${log}.1`);
    } catch {
      ftruncateSync(fd, 0); // in a folder that is not to be written there is room for one
    }
  }
  reopen();
  if (!isOurs && inode === before) next = size + limit / 10;
}

/** Written when it returns, as node does it with a file: what is said last is there, however the worker ends. */
function put(chunk) {
  for (;;) {
    if (!isCurrent()) reopen();
    for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    const { nlink, size } = fstatSync(fd);
    // Put away twice since we looked: nobody would ever read it.
    if (nlink === 0 && !isCurrent()) continue;
    if (size >= next) rotate(size);
    return;
  }
}

fs.createWriteStream = function (path, options) {
  if (path !== log) return createWriteStream.apply(this, arguments);
  const stream = new Writable({
    write(chunk, encoding, done) {
      try {
        put(chunk);
      } catch {
        // A full disk, a folder that is gone: a line is lost, and neither the app nor the next line.
      }
      done();
    },
  });
  stream.fd = 1; // pm2 wants a number
  process.nextTick(() => stream.emit("open", stream.fd));
  return stream;
};

// Nothing that the app starts with its own arguments needs it.
process.execArgv = process.execArgv.filter((argument) => argument !== `--require=${__filename}`);
