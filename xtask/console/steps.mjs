// What a customer does in the console, step by step, by what she reads there. In English, with a script or without.

import { randomUUID } from "node:crypto";

const password = "a long walk by the sea";

/** Somebody whom the bank does not know yet. */
export function stranger() {
  return { email: `${randomUUID()}@example.com`, password };
}

/** Signs up, and is signed in. */
export async function signUp({ page }, { email, password }) {
  await page.goto("/sign-up");
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign up" }).click();
  await page.waitForURL("/app");
}

/** Fills in the form for signing in, and sends it. */
export async function signIn({ page }, { email, password }) {
  await page.goto("/sign-in");
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
}

/** Opens an account, and returns its id. */
export async function openAccount({ page }, name, currency) {
  await page.goto("/app/accounts/new");
  await page.getByLabel("Name of the account").fill(name);
  await page.getByLabel("Currency").fill(currency);
  await page.getByRole("button", { name: "Open an account" }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
  return new URL(page.url()).pathname.split("/").pop();
}

/** Fills in the form for a deposit, a withdrawal or a transfer, and sends it. */
export async function moveMoney({ page }, kind, { account, to, amount, note }) {
  await page.goto(`/app/move/${kind}?account=${account}`);
  if (to) await page.getByLabel("To account").fill(to);
  await page.getByLabel("Amount").fill(amount);
  if (note) await page.getByLabel("Note").fill(note);
  const names = { deposit: "Deposit", withdraw: "Withdrawal", transfer: "Transfer" };
  await page.getByRole("button", { name: names[kind], exact: true }).click();
  await page.waitForURL("/app/operations/*");
}

/** The heading of an operation's page once it says so, such as `Deposit Completed`. */
export function outcome({ page }, text) {
  return page.getByRole("heading", { level: 1, name: text });
}

/** The picture of the way that a deposit took through the bank, once it has come to every service. */
export function wholeWay({ page }) {
  const way = /accepted by banking after 0 ms.*posted by ledger.*(shown by query.*notified|notified.*shown by query)/;
  return page.getByRole("img", { name: way });
}
