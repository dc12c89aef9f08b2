// For each request, not once when it is built: then every page says which release made it.
export const dynamic = "force-dynamic";

export default function Page() {
  return <h1>Hello from {process.env.DP_RELEASE ?? "my laptop"}</h1>;
}
