// The managers that may still have something of an app that is being removed.
import type { NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import type { Manager } from "../contracts/manager.ts";
import { appTypes, manager } from "../registry.ts";
import { recordedManagers } from "../release/manager.ts";
import type { ServerConfig } from "../config/types.ts";
import { managerNames } from "../config/kinds.ts";

/**
 * Every manager that may have an instance on this host, whatever config.yml names now. Throws DpError "host" when a
 * manager with an instance of the app cannot be asked, because it would start that again some day.
 */
export async function managersOf(app: NamedApp, server: ServerConfig | null): Promise<Manager[]> {
  const own = (await appTypes()).flatMap((type) => type.manager ?? []);
  const all = [...(await Promise.all(managerNames().map(manager))), ...own];
  const recorded = await recordedManagers(app);
  const why = await Promise.all(all.map((each) => each.unavailable(server?.path)));
  for (const [index, { name }] of all.entries()) {
    if (why[index] === null || !recorded.has(name)) continue;
    const what = `${name} has processes of ${app.name} and cannot be reached, so nothing was removed: ${why[index]}`;
    throw new DpError("host", what, { hint: `make it work again, then: dp destroy ${app.name}` });
  }
  return all.filter((_, index) => why[index] === null);
}
