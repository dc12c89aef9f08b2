// A cron line: the five fields of crontab(5), or @daily and the like, parsed strictly.

/** A parsed schedule. The lists are sorted and complete; weekdays count from Sunday, 0. */
export interface Schedule {
  minutes: number[];
  hours: number[];
  days: number[];
  months: number[];
  weekdays: number[];
  /** Day and weekday are both restricted, and either one suffices, as in crontab(5). */
  isEitherDay: boolean;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
export const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

interface Field {
  name: string;
  least: number;
  most: number;
  /** The word for each number, from `least` on. */
  words: readonly string[];
}

const FIELDS: readonly Field[] = [
  { name: "minute", least: 0, most: 59, words: [] },
  { name: "hour", least: 0, most: 23, words: [] },
  { name: "day of the month", least: 1, most: 31, words: [] },
  { name: "month", least: 1, most: 12, words: MONTHS },
  { name: "day of the week", least: 0, most: 7, words: [...WEEKDAYS, "sun"] },
];

const NICKNAMES: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/** Parses a cron line; a text as the answer is the error. */
export function parseSchedule(text: string): Schedule | string {
  // Only blanks: other white space that trim() removes would end up in a unit.
  const line = text.replace(/^[ \t]+|[ \t]+$/g, "");
  if (line.startsWith("@")) {
    const fields = NICKNAMES[line.toLowerCase()];
    if (fields !== undefined) return parseSchedule(fields);
    const known = Object.keys(NICKNAMES).join(", ");
    const why =
      line.toLowerCase() === "@reboot" ? "a command that starts with the app is a process" : `there is ${known}`;
    return `unknown ${JSON.stringify(line)}, ${why}`;
  }
  const parts = line.split(/[ \t]+/);
  if (parts.length !== FIELDS.length || line === "") {
    const count = line === "" ? 0 : parts.length;
    return `needs five fields, minute hour day month weekday, and has ${count}`;
  }
  const lists: number[][] = [];
  for (const [index, field] of FIELDS.entries()) {
    const list = parseField(parts[index]!, field);
    if (typeof list === "string") return `${field.name} ${JSON.stringify(parts[index])}: ${list}`;
    lists.push(list);
  }
  const [minutes = [], hours = [], days = [], months = [], weekdays = []] = lists;
  const isEitherDay = !parts[2]!.startsWith("*") && !parts[4]!.startsWith("*");
  const schedule = { minutes, hours, days, months, weekdays, isEitherDay };
  return comes(schedule) ? schedule : "never runs: those months have no such day";
}

// The numbers of a field, sorted, or the error.
function parseField(text: string, field: Field): number[] | string {
  const found = new Set<number>();
  for (const item of text.split(",")) {
    const [, range = "", step] = /^([^/]*)(?:\/(.*))?$/.exec(item) ?? [];
    const ends = range === "*" ? [field.least, field.most] : rangeOf(range, field);
    if (typeof ends === "string") return ends;
    const [first = 0, last = first] = ends;
    if (first > last) return `the range ${range} is backwards, write ${first}-${field.most},${field.least}-${last}`;
    if (step !== undefined && (!/^[1-9][0-9]?$/.test(step) || ends.length === 1)) {
      if (ends.length === 1) return `a step needs a range, write ${first}-${field.most}/${step}`;
      return `the step must be a whole number from 1, not ${JSON.stringify(step)}`;
    }
    for (let number = first; number <= last; number += Number(step ?? 1))
      found.add(field.most === 7 ? number % 7 : number);
  }
  return [...found].sort((a, b) => a - b);
}

function rangeOf(text: string, field: Field): number[] | string {
  const words = text.split("-");
  if (words.length > 2) return `${JSON.stringify(text)} is not a range`;
  const ends: number[] = [];
  for (const [index, word] of words.entries()) {
    // "fri-sun": as the end of a range Sunday is 7.
    const from = index === 1 ? field.words.lastIndexOf(word.toLowerCase()) : field.words.indexOf(word.toLowerCase());
    const number = from >= 0 ? from + field.least : /^[0-9]{1,2}$/.test(word) ? Number(word) : -1;
    if (number < field.least || number > field.most) {
      const names = field.words.length > 0 ? ` or a name such as ${field.words[1]}` : "";
      return `must be from ${field.least} to ${field.most}${names}, not ${JSON.stringify(word)}`;
    }
    ends.push(number);
  }
  return ends;
}

// A leap year has every possible day.
function comes({ days, months, isEitherDay }: Schedule): boolean {
  return isEitherDay || months.some((month) => days.some((day) => day <= new Date(2024, month, 0).getDate()));
}

/** Whether a schedule includes that day; `weekday` counts from Sunday, 0. */
export function hasDay(schedule: Schedule, month: number, day: number, weekday: number): boolean {
  if (!schedule.months.includes(month)) return false;
  const [isDay, isWeekday] = [schedule.days.includes(day), schedule.weekdays.includes(weekday)];
  return schedule.isEitherDay ? isDay || isWeekday : isDay && isWeekday;
}

const two = (number: number) => String(number).padStart(2, "0");
const list = (numbers: readonly number[], all: number) => (numbers.length === all ? "*" : numbers.map(two).join(","));

/** The equivalent lines of OnCalendar=, see systemd.time(7); two of them where either day suffices. */
export function calendarLines(schedule: Schedule, timeZone?: string): string[] {
  const { minutes, hours, days, months, weekdays, isEitherDay } = schedule;
  const time = `${list(hours, 24)}:${list(minutes, 60)}:00${timeZone === undefined ? "" : ` ${timeZone}`}`;
  const names = weekdays.map((day) => WEEKDAYS[day]!.replace(/^./, (letter) => letter.toUpperCase())).join(",");
  const week = weekdays.length === 7 ? "" : `${names} `;
  const [month, day] = [list(months, 12), list(days, 31)];
  if (isEitherDay) return [`*-${month}-${day} ${time}`, `${week}*-${month}-* ${time}`];
  return [`${week}*-${month}-${day} ${time}`];
}

/** The schedule of a line that was validated before. Throws when the line is invalid all the same. */
export function scheduleOf(text: string): Schedule {
  const schedule = parseSchedule(text);
  if (typeof schedule === "string") throw new Error(`${JSON.stringify(text)}: ${schedule}`);
  return schedule;
}
