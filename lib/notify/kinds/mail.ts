// Mail: by SMTP with TLS, or through the machine's own sendmail.
import * as v from "valibot";
import type { Attempt, Line, Message, Notifier, Settings } from "../../contracts/notifier.ts";
import { codeOf } from "../../errors.ts";
import { text } from "../../config/field.ts";
import { isOwnHost, word } from "../http.ts";
import { feed } from "../program.ts";

const ADDRESS = /^[^\s<>,;:"()[\]\\@]{1,64}@[A-Za-z0-9.-]{1,200}$/;
const HOST = /^([A-Za-z0-9.-]{1,200}):([1-9][0-9]{0,4})$/;
/** The port on which TLS begins at once; on all others STARTTLS is required. */
const TLS = 465;

const mailAddress = (description: string) =>
  v.pipe(text(ADDRESS, "one mail address such as ops@example.com"), v.description(description));

// The library is large, and only a mail needs it.
const library = async () => (await import("nodemailer")).default;

function mailOf({ mail: to = "", from = "" }: Settings, { title, text, id, happening }: Message) {
  const domain = from.slice(from.indexOf("@") + 1);
  return { from, to, subject: title, text, messageId: `<${id}@${domain}>`, date: new Date(happening.time) };
}

async function bySmtp(settings: Settings, message: Message, { limit }: Line): Promise<Attempt> {
  const { smtp = "", user, password } = settings;
  const [, host = "", port = "587"] = HOST.exec(smtp) ?? [];
  const isOwn = isOwnHost(host);
  const transport = (await library()).createTransport({
    host,
    port: Number(port),
    secure: Number(port) === TLS,
    requireTLS: !isOwn && Number(port) !== TLS,
    ignoreTLS: isOwn && Number(port) !== TLS,
    ...(user === undefined ? {} : { auth: { user, pass: password ?? "" } }),
    connectionTimeout: limit / 2,
    greetingTimeout: limit / 2,
    socketTimeout: limit,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const late = Promise.withResolvers<Attempt>();
  const timer = setTimeout(() => late.resolve({ end: "again", said: "timeout" }), limit);
  try {
    const sent = transport.sendMail(mailOf(settings, message));
    return await Promise.race([sent.then((): Attempt => ({ end: "sent", said: "accepted" })), late.promise]);
  } catch (error) {
    return refusal(error);
  } finally {
    clearTimeout(timer);
    transport.close();
  }
}

// The server's own words may repeat addresses, so that only its code is told.
function refusal(error: unknown): Attempt {
  // No word of the server's about this mail: somebody between may have taken its TLS away.
  if (codeOf(error) === "ETLS") return { end: "again", said: "no TLS" };
  const status = Number((error as { responseCode?: unknown }).responseCode);
  const said = status >= 400 && status < 600 ? `SMTP ${status}` : (codeOf(error) ?? "no connection");
  return { end: status >= 500 ? "never" : "again", said };
}

async function bySendmail(settings: Settings, message: Message, line: Line): Promise<Attempt> {
  const composer = (await library()).createTransport({ streamTransport: true, buffer: true, newline: "unix" });
  const { message: raw } = await composer.sendMail(mailOf(settings, message));
  const { mail = "", from = "" } = settings;
  return feed(["/usr/sbin/sendmail", "-i", "-f", from, "--", mail], String(raw), line);
}

const mail: Notifier = {
  name: "mail",
  summary: "a mailbox, by SMTP or the machine's sendmail",
  keys: {
    mail: mailAddress("The recipient."),
    from: mailAddress("The sender."),
    smtp: v.exactOptional(
      v.pipe(text(HOST, "HOST:PORT such as smtp.example.com:587"), v.description("The server. Default: sendmail.")),
    ),
    user: v.exactOptional(word("The user at that server.")),
    password: v.exactOptional(word("The user's password.")),
  },
  asks: {
    mail: { question: "Recipient" },
    from: { question: "Sender" },
    smtp: { question: "SMTP server, HOST:PORT (empty: the machine's sendmail)", isOptional: true },
    user: { question: "User", isOptional: true },
    password: { question: "Password", isOptional: true },
  },
  secrets: ["password"],
  problem: ({ smtp, user, password }) => {
    if ((user === undefined) !== (password === undefined)) return "user and password belong together";
    return user !== undefined && smtp === undefined ? "user and password need smtp" : null;
  },
  place: ({ mail: to = "", smtp }) => `${to} by ${smtp ?? "sendmail"}`,
  send: (settings, message, line) =>
    settings["smtp"] === undefined ? bySendmail(settings, message, line) : bySmtp(settings, message, line),
};

export default mail;
