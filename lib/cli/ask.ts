// Questions to the user at the terminal.
import { DpError } from "../errors.ts";

const [ETX, EOT, BACKSPACE, DELETE] = ["\x03", "\x04", "\b", "\x7f"];

/** Asks for a line; `hidden`: the input is not shown. Throws DpError "interrupted" on Ctrl-C. */
export async function ask(question: string, hidden = false): Promise<string> {
  // Raw mode first: input typed as soon as the question appears must not be shown.
  process.stdin.setRawMode(true);
  process.stderr.write(question);
  let line = "";
  try {
    for await (const chunk of process.stdin) {
      for (const key of String(chunk)) {
        if (key === ETX) throw new DpError("interrupted", "interrupted");
        if (key === "\r" || key === "\n" || key === EOT) return line;
        if (key === BACKSPACE || key === DELETE) {
          if (!hidden && line !== "") process.stderr.write("\b \b");
          line = line.slice(0, -1);
        } else {
          line += key;
          if (!hidden) process.stderr.write(key);
        }
      }
    }
    return line;
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stderr.write("\n");
  }
}
