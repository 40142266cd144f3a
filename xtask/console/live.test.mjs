// What is live: pages that change while one looks at them. The console is one of its own here, of a bank elsewhere.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { inspect } from "./inspection.mjs";
import { journeys } from "./journey.mjs";
import { start } from "./program.mjs";
import { SlowApi } from "./slow_api.mjs";
import { moveMoney, openAccount, outcome, signUp, stranger } from "./steps.mjs";

journeys("live pages", (journey) => {
  let api;
  let elsewhere;
  before(async () => {
    api = await SlowApi.start();
    elsewhere = await start(["console", "--api-url", api.url]);
  });
  after(async () => {
    await elsewhere?.stop();
    api?.stop();
  });

  journey("a deposit is seen to end without looking again", async (arrive) => {
    const customer = await arrive({}, elsewhere.url);
    const { page } = customer;
    await signUp(customer, stranger());
    const account = await openAccount(customer, "Everyday", "EUR");

    await moveMoney(customer, "deposit", { account, amount: "10" });
    await outcome(customer, "Deposit Pending").waitFor();
    await inspect(customer, "customer-operation-pending");
    await page.evaluate(() => (globalThis.isTheSamePage = true));
    api.holds = false;
    await outcome(customer, "Deposit Completed").waitFor();
    assert.ok(await page.evaluate(() => globalThis.isTheSamePage), "the page was loaded anew");
    assert.equal(await page.locator("time").filter({ hasText: "UTC" }).count(), 0, "times are those of her own zone");
  });
});
