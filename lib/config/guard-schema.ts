// The keys of config.yml that keep clients away: their addresses, and their passwords.
import * as v from "valibot";
import { must } from "./field.ts";
import { networkOf } from "./network.ts";
import { isPasswordHash, isUserName } from "./user-name.ts";

const networkWords = must("an address, or a network such as 203.0.113.0/24 whose bits behind the 24 are zero");

/** An address or a network. */
export const network = v.pipe(
  v.string(networkWords),
  v.check((text) => networkOf(text) !== null, networkWords),
);

/** The key allow. */
export const allow = v.pipe(
  v.array(network, must("a list of addresses")),
  v.minLength(1, "is empty, so that nobody could use the app: take it out, or see dp maintenance"),
  v.description("The addresses and networks whose clients may use the app; others get 403. Default: all."),
);

const hashWords = must("a password hashed by bcrypt, as dp auth writes it and htpasswd -nB prints it, of cost 4 to 12");

/** The key basicAuth. */
export const basicAuth = v.pipe(
  v.record(
    v.pipe(v.string(), v.check(isUserName, must("the name of a user: a letter, then letters, digits and . _ @ -"))),
    v.pipe(v.string(hashWords), v.check(isPasswordHash, hashWords)),
    must("a mapping of users and hashed passwords"),
  ),
  v.check((users) => Object.keys(users).length > 0, "is empty, so that nobody could use the app: take it out"),
  v.description("User -> hashed password: clients must name one. dp auth writes it. Default: nobody needs one."),
);
