// The back office, and the page that explains the bank, every page of them inspected.

import assert from "node:assert/strict";

import { inspect } from "./inspection.mjs";
import { journeys } from "./journey.mjs";
import { until } from "./program.mjs";
import { olive } from "./settings.mjs";
import { openAccount, signIn, signUp, stranger, wholeWay } from "./steps.mjs";

journeys("the back office", (journey) => {
  journey("an operator watches the flow, live", async (arrive) => {
    const operator = await arrive();
    const { page } = operator;
    await signIn(operator, olive);
    await page.getByRole("link", { name: "Back office" }).click();
    await page.getByRole("heading", { level: 1, name: "Flow" }).waitFor();
    const picture = page.getByRole("img", { name: /^until / });
    const shown = await picture.getAttribute("aria-label");
    await page.evaluate(() => (globalThis.isTheSamePage = true));
    await until("another second", async () => (await picture.getAttribute("aria-label")) !== shown);
    assert.ok(await page.evaluate(() => globalThis.isTheSamePage), "the page was loaded anew");
    await page.getByRole("row", { name: /ledger_commands/ }).waitFor();
    await inspect(operator, "office-flow");
  });

  journey("an operator finds a person, her account, and the way of an operation", async (arrive) => {
    const operator = await arrive();
    const { page } = operator;
    await signIn(operator, olive);
    await page.waitForURL("/app");
    await page.goto("/office/search");
    await inspect(operator, "office-search");
    await page.getByRole("searchbox").fill("nobody@example.com");
    await page.keyboard.press("Enter");
    await page.getByRole("status").getByText("Nothing is known of nobody@example.com").waitFor();
    await page.getByRole("searchbox").fill("grace@example.com");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("heading", { level: 1, name: "grace@example.com" }).waitFor();
    await inspect(operator, "office-person");
    await page.getByRole("link", { name: "Current account" }).click();
    await page.getByRole("heading", { level: 1, name: /Current account/ }).waitFor();
    await inspect(operator, "office-account");
    await page.getByRole("row", { name: /Failed/ }).getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: /^Withdrawal refused$/i }).waitFor();
    await inspect(operator, "office-operation-failed");
    await page.goBack();
    await page.getByRole("row", { name: /Deposit/ }).first().getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: /^Deposit posted$/i }).waitFor();
    await wholeWay(operator).waitFor();
    await inspect(operator, "office-operation");
    const id = new URL(page.url()).pathname.split("/").pop();
    await page.getByRole("searchbox").fill(id);
    await page.keyboard.press("Enter");
    await page.waitForURL(`/office/operations/${id}`);
  });

  journey("an operator reads the books and has them audited", async (arrive) => {
    const operator = await arrive();
    const { page } = operator;
    await signIn(operator, olive);
    await page.waitForURL("/app");
    await page.goto("/office/books");
    await page.getByText("Every currency sums to zero.").waitFor();
    await page.getByRole("row", { name: /^EUR/ }).waitFor();
    await page.getByRole("button", { name: "Run an audit" }).click();
    await page.getByText("CLEAN").waitFor();
    await inspect(operator, "office-books");
  });

  journey("an operator reads a dead letter, and sends it again", async (arrive) => {
    const operator = await arrive();
    const { page } = operator;
    await signIn(operator, olive);
    await page.waitForURL("/app");
    await page.goto("/office/dead-letters");
    await inspect(operator, "office-dead-letters");
    await page.getByRole("row", { name: /WITHDRAW_EVENT notifications_events/ }).getByRole("link").click();
    await page.getByText("put aside by the demo").waitFor();
    await page.getByText('"message_id"').waitFor();
    await inspect(operator, "office-dead-letter");
    await page.getByRole("button", { name: "Send it again" }).click();
    await page.getByRole("status").getByText("The message was sent to its consumer again.").waitFor();
    await page.getByText("None: every message was handled.").waitFor();
    await inspect(operator, "office-dead-letters-none");
  });

  journey("a visitor sees how the bank works, and follows a deposit", async (arrive) => {
    const visitor = await arrive();
    const { page } = visitor;
    await page.goto("/");
    await page.getByRole("link", { name: "How it works" }).click();
    await page.getByRole("img", { name: "The services and the messages between them" }).waitFor();
    await page.getByRole("row", { name: /DEPOSIT_CMD.*banking.*ledger_commands/ }).waitFor();
    await inspect(visitor, "about");
    await signUp(visitor, stranger());
    await openAccount(visitor, "Everyday", "EUR");
    await page.getByRole("link", { name: "How it works" }).click();
    await page.getByRole("button", { name: "Deposit 1 and follow it" }).click();
    await page.getByText(/Accepted, judged, posted and shown within \d+ ms/).waitFor();
    await wholeWay(visitor).waitFor();
    await inspect(visitor, "about-followed");
  });
});
