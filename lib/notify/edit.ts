// Changes notify.yml by keys, and leaves comments where they are.
import { isMap, parseDocument, type Document } from "yaml";
import type { EventName } from "../contracts/notifier.ts";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { notifyFile, parseNotify } from "./file.ts";
import type { Targets } from "./targets.ts";

/** A text of notify.yml after a change, and the targets that it makes. */
export interface Edited {
  text: string;
  targets: Targets;
}

async function edited(change: (document: Document) => void): Promise<Edited> {
  const file = notifyFile();
  const text = (await readText(file)) ?? "";
  // A file with a mistake is the operator's to mend, and is not made worse.
  await parseNotify(text);
  const document = parseDocument(text, { logLevel: "error" });
  if (document.contents === null) document.contents = document.createNode({}) as never;
  change(document);
  const after = document.toString({ lineWidth: 0 });
  return { text: after, targets: await parseNotify(after) };
}

/** Removes a mapping that has become empty. */
function dropEmpty(document: Document, key: string): void {
  const value = document.get(key);
  if (isMap(value) && value.items.length === 0) document.delete(key);
}

/** With a new target. Throws DpError "usage" when there is one of that name, "config" for wrong values. */
export const withTarget = (name: string, values: Readonly<Record<string, string>>): Promise<Edited> =>
  edited((document) => {
    if (document.hasIn(["to", name]))
      throw new DpError("usage", `there is a target ${name} already`, { hint: `dp notify remove ${name}` });
    if (!document.has("to")) document.set("to", document.createNode({}));
    document.setIn(["to", name], document.createNode(values, { flow: true }));
  });

/** Without a target, in the lists of `events` as well. Throws DpError "usage" when there is none of that name. */
export const withoutTarget = (name: string): Promise<Edited> =>
  edited((document) => {
    // deleteIn throws where there is no "to" at all.
    if (!document.hasIn(["to", name])) throw noTarget(name, document);
    document.deleteIn(["to", name]);
    const events = document.toJS() as { events?: Record<string, string[]> };
    for (const [event, names] of Object.entries(events.events ?? {}))
      if (names.includes(name))
        setList(
          document,
          event,
          names.filter((each) => each !== name),
        );
    for (const key of ["events", "to"]) dropEmpty(document, key);
  });

/** With these targets for an event besides the usual ones; none: only the usual ones. */
export const withEvent = (event: EventName, names: readonly string[]): Promise<Edited> =>
  edited((document) => {
    for (const name of names) if (!document.hasIn(["to", name])) throw noTarget(name, document);
    setList(document, event, names);
    dropEmpty(document, "events");
  });

function setList(document: Document, event: string, names: readonly string[]): void {
  if (names.length === 0) return void document.deleteIn(["events", event]);
  if (!document.has("events")) document.set("events", document.createNode({}, { flow: true }));
  document.setIn(["events", event], document.createNode([...names], { flow: true }));
}

function noTarget(name: string, document: Document): DpError {
  const { to = {} } = document.toJS() as { to?: Record<string, unknown> };
  const known = Object.keys(to);
  return new DpError("usage", `there is no target ${JSON.stringify(name)}`, {
    hint: known.length > 0 ? `there is ${known.join(", ")}` : "dp notify add NAME KIND",
  });
}

/** Writes the file; only root may read it. */
export const writeNotify = (text: string): Promise<void> => writeFileAtomic(notifyFile(), text, 0o600);
