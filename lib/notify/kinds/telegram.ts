// Telegram, by a bot.
import * as v from "valibot";
import type { Notifier } from "../../contracts/notifier.ts";
import { text } from "../../config/field.ts";
import { address, postJson, word } from "../http.ts";

const API = "https://api.telegram.org";

const telegram: Notifier = {
  name: "telegram",
  summary: "a chat of Telegram",
  keys: {
    telegram: v.pipe(
      text(/^\d{1,20}:[\w-]{1,100}$/, "the token of a bot, such as 123456:ABC"),
      v.description("The token of the bot."),
    ),
    chat: word("The chat: its number in quotes, or @channel."),
    api: v.exactOptional(address("A Bot API server of your own. Default: Telegram's.")),
  },
  asks: { telegram: { question: "Token of the bot" }, chat: { question: "Chat (a number, or @channel)" } },
  secrets: ["telegram"],
  place: ({ chat = "" }) => `chat ${chat}`,
  // Without parse_mode, so that no character of an error makes Telegram refuse the message.
  send: ({ telegram: token = "", chat = "", api = API }, message, line) =>
    postJson(
      `${api.replace(/\/$/, "")}/bot${token}/sendMessage`,
      { chat_id: chat, text: message.text, link_preview_options: { is_disabled: true } },
      line,
    ),
};

export default telegram;
