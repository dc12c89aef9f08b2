// FIDEDUPERANGE: two files with the same content use the same blocks, on btrfs, xfs and their like.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const libc = libcWith({ ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 } });

const FIDEDUPERANGE = 0xc0189436;
/** btrfs takes no more at once. */
const MOST = 16 * 1024 ** 2;

/**
 * Whether `to` now uses the blocks of `from`, because its `size` bytes are the same: the kernel has compared them. Null when
 * the file system cannot do that. Both are open files; neither needs to be open for writing. `pause` is called with the
 * number of bytes after each part.
 */
export async function dedupe(
  from: number,
  to: number,
  size: number,
  pause: (bytes: number) => Promise<void>,
): Promise<boolean | null> {
  // struct file_dedupe_range with one struct file_dedupe_range_info
  const request = new DataView(new ArrayBuffer(56));
  for (let at = 0; at < size;) {
    request.setBigUint64(0, BigInt(at), true);
    request.setBigUint64(8, BigInt(Math.min(MOST, size - at)), true);
    request.setUint16(16, 1, true);
    request.setBigInt64(24, BigInt(to), true);
    request.setBigUint64(32, BigInt(at), true);
    request.setBigUint64(40, 0n, true);
    request.setInt32(48, 0, true);
    if (libc().ioctl(from, FIDEDUPERANGE, ptr(request.buffer as ArrayBuffer)) !== 0) return null;
    const status = request.getInt32(48, true);
    const count = Number(request.getBigUint64(40, true));
    if (status < 0 && at === 0 && UNABLE.includes(-status)) return null;
    if (status !== 0 || count === 0) return false;
    at += count;
    await pause(count);
  }
  return true;
}

/** EOPNOTSUPP, EXDEV, ENOTTY; EINVAL from a file system below an overlay. */
const UNABLE = [95, 18, 25, 22];
