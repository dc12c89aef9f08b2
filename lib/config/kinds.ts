// Which app types, managers, fronts and checks there are: each is a file of its folder, and nothing else knows it.
import { readdirSync } from "node:fs";
import { join, parse } from "node:path";

const lib = join(import.meta.dir, "..");
const listed = new Map<string, string[]>();

// Listed once: every config that is read asks for them.
function namesIn(folder: string): string[] {
  const names = listed.get(folder) ?? readdirSync(join(lib, folder)).filter((file) => file.endsWith(".ts"));
  listed.set(folder, names);
  return names.map((file) => parse(file).name).sort();
}

export const appTypeNames = () => namesIn("apps");
export const checkNames = () => namesIn("doctor");
export const managerNames = () => namesIn("managers");
export const frontNames = () => namesIn("fronts");
