// Memory: a server without any kills processes.
import { byHand, type Check } from "../contracts/check.ts";
import { sizeText } from "../config/size.ts";
import { availableMemory } from "../host/memory.ts";

/** The memory that a deploy itself uses: dp, git, tar. */
const LEAST = 64 * 1024 ** 2;

const check: Check = {
  summary: "free memory",
  async server() {
    const available = availableMemory();
    if (available === null || available >= LEAST) return [];
    const what = `${sizeText(available)} of memory is free: the kernel will soon kill processes`;
    return [byHand("warning", what, "ps -eo rss,pid,args --sort=-rss | head")];
  },
};
export default check;
