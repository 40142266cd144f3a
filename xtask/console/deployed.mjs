// The console of a bank elsewhere: the customer's way, on the template as it is deployed. `cargo xtask test` walks it, with
// a console that knows no more of that bank than where its API is.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before } from "node:test";

import { inspect } from "./inspection.mjs";
import { journeys } from "./journey.mjs";
import { start, until } from "./program.mjs";
import { bankUrl } from "./settings.mjs";
import { moveMoney, openAccount, outcome, signIn, signUp, stranger } from "./steps.mjs";

journeys("the console of a deployed bank", (journey) => {
  let console;
  before(async () => {
    console = await start(["console", "--api-url", bankUrl]);
  });
  after(() => console?.stop());

  journey("a customer signs up, moves money, reads of it, and signs out everywhere", async (arrive) => {
    const customer = await arrive({}, console.url);
    const { page } = customer;
    const person = stranger();
    await signUp(customer, person);
    const current = await openAccount(customer, "Everyday", "EUR");
    const savings = await openAccount(customer, "Savings", "EUR");

    await moveMoney(customer, "deposit", { account: current, amount: "1250.50", note: "Salary" });
    await outcome(customer, "Deposit Completed").waitFor();
    await inspect(customer, "deployed-operation");
    await moveMoney(customer, "withdraw", { account: current, amount: "1250.51" });
    await outcome(customer, "Withdrawal Failed").waitFor();
    await page.getByText("There is not enough money in the account.").waitFor();
    await moveMoney(customer, "transfer", { account: current, to: savings, amount: "200", note: "Put aside" });
    await outcome(customer, "Transfer Completed").waitFor();

    // What is shown follows the ledger, a moment later.
    const seen = (path, what) => until(`${what} on ${path}`, async () => {
      await page.goto(path);
      return (await what.count()) > 0;
    });
    await seen("/app", page.getByRole("link", { name: /Everyday.*1,050\.50/ }));
    await seen("/app", page.getByRole("link", { name: /Savings.*200\.00/ }));
    await inspect(customer, "deployed-accounts");
    await seen(`/app/accounts/${savings}`, page.getByRole("row", { name: /Put aside.*200\.00/ }));
    await seen("/app/notifications", page.getByRole("heading", { name: "Your withdrawal of 1250.51 EUR failed" }));

    await page.goto(`/app/accounts/${current}`);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Statement (CSV)" }).click(),
    ]);
    const statement = await readFile(await download.path(), "utf8");
    assert.match(statement, /,DEPOSIT,COMPLETED,1250\.50,EUR,1250\.50,Salary,/);

    await page.goto("/app/settings");
    await page.getByRole("button", { name: "Sign out everywhere" }).click();
    await page.waitForURL((url) => !url.pathname.startsWith("/app"));
    await page.goto("/app");
    await page.waitForURL("/sign-in*");
    await signIn(customer, person);
    await page.waitForURL("/app");
  });
});
