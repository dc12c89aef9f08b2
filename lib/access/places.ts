// Where the login of dp has its files.
import { root } from "../paths.ts";

/** Who may log in as dp. */
export const keysFile = () => `${root()}/var/lib/dp/keys.json`;
/** The login that people and CIs use. */
export const LOGIN = "dp";
/** The folder of the two programs that the login leads to. */
const programs = () => `${root()}/usr/local/lib/dp`;
/** The login shell: it starts the gate, and nothing else. */
export const shellFile = () => `${programs()}/login`;
/** The one program that sudo lets the login start. */
export const gateFile = () => `${programs()}/gate`;
export const sudoersFile = () => `${root()}/etc/sudoers.d/dp`;
/** The home of the login. It is root's. */
export const loginHome = () => `${root()}/var/lib/dp/login`;
export const authorizedKeysFile = () => `${loginHome()}/.ssh/authorized_keys`;
/** When which key was last used: an empty file for each. */
export const usesFolder = () => `${root()}/var/lib/dp/key-uses`;
