// The page of an app in maintenance that has none of its own.

export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Maintenance</title>
<style>
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #f6f6f4; color: #333; font: 18px/1.6 system-ui, sans-serif; }
  main { max-width: 32rem; padding: 2rem; text-align: center; }
  h1 { font-size: 1.5rem; font-weight: 600; }
  @media (prefers-color-scheme: dark) { body { background: #1c1c1e; color: #ddd; } }
</style>
<main>
  <h1>We will be back soon</h1>
  <p>This site is closed for maintenance. Please try again in a few minutes.</p>
</main>
</html>
`;
