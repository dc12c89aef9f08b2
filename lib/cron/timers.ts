// Cron with systemd timers: one timer and one service for each entry, APP.cron.NAME.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { words as unitWords } from "../host/daemon/service.ts";
import { DpError } from "../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { SELF } from "../host/self.ts";
import { jobsOf, show, systemctl, timeFrom } from "../host/systemd/systemd.ts";
import { MARK, UNITS } from "../host/systemd/unit.ts";
import { render, template } from "../host/template.ts";
import { candidateLines, offsetsOf } from "./summer-time.ts";
import { calendarLines, scheduleOf } from "../config/schedule.ts";
import type { CronEntry } from "../config/types.ts";

const stemOf = (app: string, name: string) => `${jobsOf(app)}.${name}`;
const timerOf = (app: string, name: string) => `${stemOf(app, name)}.timer`;

/** The texts of an entry's two units. Throws DpError "host" for a time zone that this server lacks. */
async function unitTexts(app: string, { name, schedule, timeZone }: CronEntry): Promise<Record<string, string>> {
  if (timeZone !== undefined && timeZone !== "UTC" && !existsSync(`/usr/share/zoneinfo/${timeZone}`)) {
    const hint = "apt-get install tzdata";
    throw new DpError("host", `this server does not have the time zone ${timeZone} of cron ${name}`, { hint });
  }
  const offsets = offsetsOf(timeZone);
  const changes = offsets.length > 1;
  const at = scheduleOf(schedule);
  const calendar = (changes ? candidateLines(at, offsets) : calendarLines(at, timeZone))
    .map((line) => `OnCalendar=${line}`)
    .join("\n");
  const how = changes ? "--scheduled --due" : "--scheduled";
  const command = unitWords(SELF);
  return {
    [`${stemOf(app, name)}.service`]: render(await template("cron.service"), { app, name, command, how }),
    [timerOf(app, name)]: render(await template("cron.timer"), { app, name, schedule, calendar }),
  };
}

/** The existing units of the app's entries, by file name. */
async function unitFiles(app: string): Promise<string[]> {
  const names = await readdir(UNITS);
  return names.filter((name) => name.startsWith(`${jobsOf(app)}.`) && /\.(timer|service)$/.test(name));
}

/** Makes the app's timers match the entries exactly. Answers one sentence for each change. */
export async function setTimers(app: string, entries: readonly CronEntry[], io: Io): Promise<string[]> {
  const wanted = Object.assign({}, ...(await Promise.all(entries.map((entry) => unitTexts(app, entry))))) as Record<
    string,
    string
  >;
  const gone = (await unitFiles(app)).filter((file) => !Object.hasOwn(wanted, file));
  const changed: string[] = [];
  for (const [file, text] of Object.entries(wanted)) {
    const now = await readText(`${UNITS}/${file}`);
    if (now === text) continue;
    if (now !== null && !now.startsWith(MARK))
      throw new DpError("host", `${UNITS}/${file} is a unit that dp did not write`, { hint: "move it away" });
    await writeFileAtomic(`${UNITS}/${file}`, text, 0o644);
    changed.push(file);
  }
  const timersGone = gone.filter((file) => file.endsWith(".timer"));
  if (timersGone.length > 0) await systemctl(["disable", "--now", "--quiet", ...timersGone], io);
  for (const file of gone) await removeFile(`${UNITS}/${file}`);
  if (gone.length + changed.length > 0) await systemctl(["daemon-reload"], io);
  const timers = entries.map(({ name }) => timerOf(app, name));
  const idle = (await inactive(timers)).filter((timer) => !changed.includes(timer));
  const fresh = [...changed.filter((file) => file.endsWith(".timer")), ...idle];
  if (fresh.length > 0) {
    await systemctl(["enable", "--quiet", ...fresh], io);
    await systemctl(["restart", ...fresh], io);
  }
  const words = entries.filter(({ name }) => fresh.includes(timerOf(app, name)));
  return [
    ...timersGone.map((file) => `removed ${file}`),
    ...words.map(({ name, schedule }) => `cron ${name} runs at ${schedule}`),
  ];
}

async function inactive(timers: readonly string[]): Promise<string[]> {
  if (timers.length === 0) return [];
  const { text } = await systemctl(["is-active", ...timers], undefined, false);
  const states = text.split("\n");
  return timers.filter((_, index) => states[index] !== "active");
}

/** The next time that a timer elapses, ISO 8601; null: never. */
export async function timerNext(app: string, name: string): Promise<string | null> {
  const { NextElapseUSecRealtime = "" } = await show(timerOf(app, name), ["NextElapseUSecRealtime"]);
  return timeFrom(NextElapseUSecRealtime);
}
