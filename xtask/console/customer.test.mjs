// The customer's bank: the way of a customer from signing up to closing an account, every page of it inspected.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { inspect } from "./inspection.mjs";
import { journeys } from "./journey.mjs";
import { ada } from "./settings.mjs";
import { moveMoney, openAccount, outcome, signIn, signUp, stranger, wholeWay } from "./steps.mjs";

journeys("the customer's bank", (journey) => {
  journey("pages before signing in are for everybody", async (arrive) => {
    const visitor = await arrive();
    for (const [path, name] of [
      ["/", "welcome"],
      ["/sign-up", "sign-up"],
      ["/sign-in", "sign-in"],
      ["/confirm", "confirm"],
      ["/forgot-password", "forgot-password"],
      ["/reset-password", "reset-password"],
    ]) {
      await visitor.page.goto(path);
      await inspect(visitor, `customer-${name}`);
    }
  });

  journey("a customer signs up, moves money, and reads of it", async (arrive) => {
    const customer = await arrive();
    const { page } = customer;
    await signUp(customer, stranger());
    await page.getByText("You have no open account yet.").waitFor();
    await inspect(customer, "customer-accounts-none");

    const current = await openAccount(customer, "Everyday", "EUR");
    await inspect(customer, "customer-account-new");
    const savings = await openAccount(customer, "Savings", "eur");

    await moveMoney(customer, "deposit", { account: current, amount: "1250,50", note: "Salary" });
    await outcome(customer, "Deposit Completed").waitFor();
    await page.getByText("1,250.50").first().waitFor();
    await wholeWay(customer).waitFor();
    await inspect(customer, "customer-operation");

    await moveMoney(customer, "withdraw", { account: current, amount: "1250.51" });
    await outcome(customer, "Withdrawal Failed").waitFor();
    await page.getByText("There is not enough money in the account.").waitFor();
    await inspect(customer, "customer-operation-failed");

    await moveMoney(customer, "transfer", { account: current, to: savings, amount: "200", note: "Put aside" });
    await outcome(customer, "Transfer Completed").waitFor();

    await page.getByRole("link", { name: "Accounts", exact: true }).click();
    await page.getByRole("link", { name: /Everyday.*1,050\.50/ }).waitFor();
    await page.getByRole("link", { name: /Savings.*200\.00/ }).click();
    await page.getByRole("row", { name: /Put aside.*200\.00/ }).waitFor();

    await page.getByRole("link", { name: "Notifications" }).click();
    await page.getByRole("heading", { level: 2, name: "You received 1250.50 EUR" }).waitFor();
    await page.getByRole("heading", { level: 2, name: "Your withdrawal of 1250.51 EUR failed" }).waitFor();
    await inspect(customer, "customer-notifications");
    const unread = page.getByRole("button", { name: "Mark as read" });
    const count = await unread.count();
    await unread.first().click();
    await page.waitForFunction((rest) => document.querySelectorAll("article.unread").length === rest, count - 1);
  });

  journey("forms say what is wrong, and keep what was typed", async (arrive) => {
    const customer = await arrive();
    const { page } = customer;
    await customer.isRefused(422, async () => {
      await page.goto("/sign-up");
      await page.getByLabel("Email").fill(stranger().email);
      await page.getByLabel("Password").fill("password");
      await page.getByRole("button", { name: "Sign up" }).click();
      await page.getByRole("alert").waitFor();
    });
    await inspect(customer, "customer-sign-up-refused");
    await signUp(customer, stranger());
    const account = await openAccount(customer, "Everyday", "JPY");
    await page.goto(`/app/move/deposit?account=${account}`);
    await inspect(customer, "customer-deposit");
    await page.getByLabel("Amount").fill("12.50");
    await customer.isRefused(422, async () => {
      await page.getByRole("button", { name: "Deposit", exact: true }).click();
      await page.getByRole("alert").waitFor();
    });
    assert.equal(await page.getByLabel("Amount").inputValue(), "12.50");
    await inspect(customer, "customer-deposit-refused");
    await page.getByLabel("Amount").fill("12");
    await page.getByRole("button", { name: "Deposit", exact: true }).click();
    await outcome(customer, "Deposit Completed").waitFor();
    await page.getByRole("link", { name: "Move money" }).first().click();
    await inspect(customer, "customer-transfer");
    await page.goto("/app/accounts/new");
    await inspect(customer, "customer-account-open");
  });

  journey("a history is drawn, filtered, and taken away", async (arrive) => {
    const customer = await arrive();
    const { page } = customer;
    await signIn(customer, ada);
    await page.waitForURL("/app");
    await inspect(customer, "customer-accounts");
    await page.getByRole("link", { name: /Current account/ }).click();
    await page.getByRole("row", { name: /Groceries/ }).first().waitFor();
    await inspect(customer, "customer-account");
    await page.getByRole("link", { name: "90 days" }).click();
    await page.waitForURL("**?days=90");
    await page.getByRole("img", { name: /→ 1,183\.87 EUR/ }).waitFor();

    await page.getByLabel("Kind").selectOption({ label: "Deposit" });
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByRole("row", { name: /Groceries/ }).first().waitFor({ state: "detached" });
    const deposits = page.getByRole("row", { name: /Deposit/ });
    assert.equal(await deposits.count(), 2, "Ada's salary, and her old bicycle");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Statement (CSV)" }).click(),
    ]);
    const [heading, ...rows] = (await readFile(await download.path(), "utf8")).trim().split("\r\n");
    assert.match(heading, /^occurred_at,kind,status,amount,currency,balance_after,/);
    assert.equal(rows.length, 2);
    assert.match(rows[1], /,DEPOSIT,COMPLETED,3250\.00,EUR,3250\.00,Salary,/);

    const day = (await page.locator("table.history time").last().getAttribute("datetime")).slice(0, 10);
    await page.getByLabel("Until").fill(day);
    await page.getByRole("button", { name: "Show" }).click();
    await page.waitForURL(/to=/);
    assert.equal(await deposits.count(), 1, "those of the first day");
  });

  journey("a long history has pages", async (arrive) => {
    const customer = await arrive();
    const { page } = customer;
    await signUp(customer, stranger());
    const account = await openAccount(customer, "Everyday", "EUR");
    for (let count = 1; count <= 27; count += 1) {
      await moveMoney(customer, "deposit", { account, amount: `${count}`, note: `No. ${count}` });
    }
    await outcome(customer, "Deposit Completed").waitFor();
    await page.getByRole("link", { name: "To the account" }).click();
    await page.getByText("378.00").first().waitFor();
    const rows = page.locator("tbody").getByRole("row");
    assert.equal(await rows.count(), 25);
    await page.getByRole("link", { name: "Older" }).click();
    await page.getByRole("row", { name: /No\. 1 / }).waitFor();
    assert.equal(await rows.count(), 2);
    assert.equal(await page.getByRole("link", { name: "Older" }).count(), 0);
  });

  journey("an account is closed once nothing is left in it", async (arrive) => {
    const customer = await arrive();
    const { page } = customer;
    await signUp(customer, stranger());
    const account = await openAccount(customer, "Holiday", "EUR");
    await moveMoney(customer, "deposit", { account, amount: "5" });
    await outcome(customer, "Deposit Completed").waitFor();
    const close = async () => {
      await page.goto(`/app/accounts/${account}`);
      await page.getByRole("link", { name: "Close the account" }).click();
      await page.getByRole("button", { name: "Close the account" }).click();
      await page.waitForURL(`/app/accounts/${account}`);
    };
    await close();
    await page.getByText("There is still money in the account.").waitFor();
    await inspect(customer, "customer-account-not-closed");
    await moveMoney(customer, "withdraw", { account, amount: "5" });
    await outcome(customer, "Withdrawal Completed").waitFor();
    await page.goto(`/app/accounts/${account}/close`);
    await inspect(customer, "customer-account-close");
    await close();
    await page.getByRole("heading", { level: 1, name: "Holiday Closed" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Transfer" }).count(), 0, "nothing can be done with it");
    await page.goto("/app");
    await page.getByText("Closed accounts").click();
    await page.getByRole("link", { name: /Holiday/ }).waitFor();
    await inspect(customer, "customer-accounts-closed");
  });
});
