// Values of settings that a careless shell, unit file, container or JSON would change on the way to the app.
export const ODD_VALUES: Readonly<Record<string, string>> = {
  SPACES: "  two  words ",
  DOLLAR: "$HOME ${HOME} $(id) `id` %h %%",
  QUOTES: `"double" 'single' \\ back\\nslash`,
  NEWLINE: "first\nsecond\n",
  UNICODE: "grüße 🚀",
  EQUALS: "a=b=c",
  EMPTY: "",
  HASH: "# none ; either",
  LONG: "0123456789abcdef".repeat(2_000),
};
