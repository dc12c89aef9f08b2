// ntfy, for phones: the topic is the last part of the address.
import * as v from "valibot";
import type { Notifier, Settings } from "../../contracts/notifier.ts";
import { address, maskedAddress, postJson, word } from "../http.ts";

const TOPIC = /^(.*)\/([\w-]{1,64})$/;

function authorization({ token, user, password }: Settings): Record<string, string> {
  if (token !== undefined) return { Authorization: `Bearer ${token}` };
  if (user === undefined) return {};
  return { Authorization: `Basic ${Buffer.from(`${user}:${password ?? ""}`).toString("base64")}` };
}

const ntfy: Notifier = {
  name: "ntfy",
  summary: "a topic of ntfy, on phones",
  keys: {
    ntfy: address("The address of the topic: https://ntfy.example.com/TOPIC."),
    token: v.exactOptional(word("The access token.")),
    user: v.exactOptional(word("The user, instead of a token.")),
    password: v.exactOptional(word("The user's password.")),
  },
  asks: { ntfy: { question: "URL of the topic" }, token: { question: "Token", isOptional: true } },
  secrets: ["ntfy", "token", "password"],
  problem: ({ ntfy: url, token, user, password }) => {
    if (typeof url === "string" && !TOPIC.test(URL.parse(url)?.pathname ?? "")) return "ntfy must end with /TOPIC";
    if (token !== undefined && user !== undefined) return "give token, or user and password, not both";
    return (user === undefined) === (password === undefined) ? null : "user and password belong together";
  },
  place: ({ ntfy: url = "" }) => maskedAddress(url),
  send(settings, { text, title, isUrgent, happening }, line) {
    const url = new URL(settings["ntfy"] ?? "");
    const [, base = "", topic = ""] = TOPIC.exec(url.pathname) ?? [];
    const rest = text.slice(title.length).trim();
    const body = { topic, title, message: rest || title, priority: isUrgent ? 4 : 3, tags: [happening.event] };
    return postJson(`${url.origin}${base}/`, body, line, authorization(settings));
  },
};

export default ntfy;
