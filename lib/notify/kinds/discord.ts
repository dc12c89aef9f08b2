// Discord, by a webhook of a channel.
import type { Notifier } from "../../contracts/notifier.ts";
import { address, maskedAddress, postJson } from "../http.ts";

// Otherwise a commit could draw links with other words than their address.
const escaped = (text: string) => text.replaceAll(/[\\*_~`|[\]>#]/g, "\\$&");

const discord: Notifier = {
  name: "discord",
  summary: "a channel of Discord",
  keys: { discord: address("The address of the channel's webhook.") },
  asks: { discord: { question: "URL" } },
  secrets: ["discord"],
  place: ({ discord: url = "" }) => maskedAddress(url),
  // Text and no embeds: those are invisible to people who have switched previews off.
  send: ({ discord: url = "" }, { text }, line) =>
    postJson(url, { content: escaped(text), allowed_mentions: { parse: [] } }, line),
};

export default discord;
