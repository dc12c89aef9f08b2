// A program of the operator: one JSON object on stdin, the same as the body of a webhook.
import * as v from "valibot";
import type { Notifier } from "../../contracts/notifier.ts";
import { text } from "../../config/field.ts";
import { feed } from "../program.ts";
import { bodyOf } from "./webhook.ts";

const command: Notifier = {
  name: "command",
  summary: "a program that gets one JSON object on stdin",
  keys: {
    command: v.pipe(
      text(/^\/[^\x00-\x1f\x7f]{1,1000}$/, "the absolute path of a program"),
      v.description("The path of the program. It runs as dp-notify, without arguments."),
    ),
  },
  asks: { command: { question: "Path of the program" } },
  secrets: [],
  place: ({ command: path = "" }) => path,
  send: ({ command: path = "" }, message, line) => feed([path], `${JSON.stringify(bodyOf(message))}\n`, line),
};

export default command;
