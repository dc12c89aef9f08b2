// `dp domains ca`: the root of dp's own CA, and how clients come to trust it.
import { caRoot, type Root } from "../domains/internal.ts";
import { DpError } from "../errors.ts";

/** The root of dp's own CA. Throws DpError "usage" when no name has needed it. */
export async function rootOfCa(): Promise<Root> {
  const root = await caRoot();
  if (root !== null) return root;
  throw new DpError("usage", "dp's own CA is made with the first name that needs it, and there is none", {
    hint: "dp domains APP add shop.lan --internal",
  });
}

/** How to trust the root, for people; the root itself is printed for programs. */
export const trustLines = ({ fingerprint, until, names }: Root): string[] => [
  `SHA-256 ${fingerprint}, until ${until.slice(0, 10)}, only for names that end in ${names.join(", ")}`,
  "to trust it, get the file on each client, and then type there what its system needs:",
  "  all             ssh root@SERVER dp domains ca > dp.crt",
  "  Debian, Ubuntu  cp dp.crt /usr/local/share/ca-certificates/ && update-ca-certificates",
  "  Fedora          cp dp.crt /etc/pki/ca-trust/source/anchors/ && update-ca-trust",
  "  macOS           security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain dp.crt",
  "  Windows         certutil -addstore Root dp.crt",
  "  Firefox         Settings, Certificates, Authorities, Import; phones: open the file, then trust it in the settings",
];
