// Slack, by an incoming webhook.
import type { Notifier } from "../../contracts/notifier.ts";
import { address, maskedAddress, postJson } from "../http.ts";

// Otherwise <!channel> in a commit would call everybody, and <https://…|words> would be a link.
const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const slack: Notifier = {
  name: "slack",
  summary: "a channel of Slack, or of what speaks its webhooks (Mattermost, Rocket.Chat)",
  keys: { slack: address("The address of the incoming webhook.") },
  asks: { slack: { question: "URL" } },
  secrets: ["slack"],
  place: ({ slack: url = "" }) => maskedAddress(url),
  send: ({ slack: url = "" }, { text }, line) =>
    postJson(url, { text: escaped(text), mrkdwn: false, unfurl_links: false, unfurl_media: false }, line),
};

export default slack;
