// The list of domains in a config.yml: names are added and removed, every other character stays.
import { Document, isMap, isScalar, type Node } from "yaml";
import { editList } from "./yaml-edit.ts";
import type { DomainConfig } from "./types.ts";

function nameOf(item: Node): unknown {
  if (isScalar(item)) return item.value;
  return isMap(item) ? item.get("name") : undefined;
}

/** The text with these domains added at the end of the list. */
export const addDomains = (text: string, domains: readonly DomainConfig[], file: string): string =>
  editList(
    text,
    "domains",
    (list) => {
      for (const domain of domains) {
        const isBare = Object.keys(domain).length === 1;
        list.add(new Document().createNode(isBare ? domain.name : domain, { flow: true }));
      }
    },
    file,
  );

/** The text without the domains of these names. */
export const removeDomains = (text: string, names: readonly string[], file: string): string =>
  editList(
    text,
    "domains",
    (list) => void (list.items = list.items.filter((item) => !names.includes(String(nameOf(item))))),
    file,
  );
