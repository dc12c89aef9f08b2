// Whether the files that deploy.yml wants to serve exist, in the commit or after its build: a page that is missing now
// never comes.
import { closeSync } from "node:fs";
import { relative } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import { openBeneath, fileBeneath, openFolder } from "./beneath.ts";
import { requestPath } from "./request-path.ts";
import { siteIn, type StaticSite } from "./settings.ts";
import type { HealthCheck } from "../../config/types.ts";

/** Throws DpError "config" when the served folder, its index, or the not-found page is missing. */
export function requireMade({ release, folder, config }: Place): void {
  const site = siteIn(config);
  if (site === undefined) throw new DpError("config", "deploy.yml has no static.root");
  const top = openFolder(release);
  const root = `${relative(release, folder) && `${relative(release, folder)}/`}${site.root}`;
  const served = openBeneath(top, root, "folder");
  closeSync(top);
  if (served === null) {
    throw new DpError("config", `static.root in deploy.yml is ${site.root}, but there is no such folder`, {
      hint: "name the folder to serve, as it is after the build",
    });
  }
  try {
    for (const [path, why] of wanted(site, config.healthCheck)) {
      const found = fileBeneath(served, path);
      if (found === null || found === "folder")
        throw new DpError(
          "config",
          `${site.root === "." ? "the app's folder" : site.root} has no file ${path}, and ${why}`,
          {
            hint: "make it, or change deploy.yml; static.root is the folder as it is after the build",
          },
        );
      closeSync(found.fd);
    }
  } finally {
    closeSync(served);
  }
}

/** The files that must exist, and the reasons. */
function wanted(site: StaticSite, check: HealthCheck | undefined): [path: string, why: string][] {
  const path = check === undefined || check.status !== undefined ? null : requestPath(check.path);
  const asked = path !== null && typeof path !== "string" && path.isFolder ? [...path.parts, "index.html"] : null;
  const files: [string, string][] = [];
  if (site.notFound !== undefined) files.push([site.notFound, "static.notFound in deploy.yml names it"]);
  // With spa, the page of a folder may be the router's.
  if (site.spa) files.push(["index.html", "spa: true answers with it"]);
  else if (asked) files.push([asked.join("/"), `healthCheck asks for ${check!.path}`]);
  return files;
}
