// Many sorts of people: those who read German or Turkish, and those who use the keyboard alone.

import assert from "node:assert/strict";

import { inspect } from "./inspection.mjs";
import { journeys } from "./journey.mjs";
import { ada } from "./settings.mjs";
import { moveMoney, openAccount, signIn, signUp, stranger } from "./steps.mjs";

/** Presses a key until something with this name has the focus, and says that the focus can be seen. */
async function walkTo(page, locator) {
  for (let steps = 0; steps < 40; steps += 1) {
    await page.keyboard.press("Tab");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, "none", "one cannot see where the focus is");
    if (await locator.evaluate((element) => element === document.activeElement)) return;
  }
  assert.fail(`the keyboard does not lead to ${locator}`);
}

journeys("people", (journey) => {
  journey("numbers and times are written as a German has them", async (arrive) => {
    const customer = await arrive({ locale: "de-DE" });
    const { page } = customer;
    await page.goto("/sign-in");
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
    await page.getByLabel("E-Mail").fill(ada.email);
    await page.getByLabel("Passwort").fill(ada.password);
    await page.getByRole("main").getByRole("button", { name: "Anmelden" }).click();
    await page.getByRole("link", { name: /Current account.*1\.183,87\sEUR/ }).click();
    await page.getByRole("row", { name: /Auszahlung.*−1\.150,00\sEUR/ }).waitFor();
    assert.match(await page.locator("time").last().textContent(), /^\d\d\.\d\d\.\d{4}, \d\d:\d\d$/);
    await inspect(customer, "customer-account-german");
  });

  journey("numbers are written as a Turk has them, once she has chosen her language", async (arrive) => {
    const customer = await arrive();
    const { page } = customer;
    await signUp(customer, stranger());
    const account = await openAccount(customer, "Günlük", "TRY");
    await moveMoney(customer, "deposit", { account, amount: "1234567,50" });
    await page.getByRole("link", { name: "Accounts", exact: true }).click();
    await page.getByRole("link", { name: /Günlük.*1,234,567\.50/ }).waitFor();
    await page.getByRole("button", { name: "Türkçe" }).click();
    await page.getByRole("heading", { level: 1, name: "Hesaplar" }).waitFor();
    await page.getByRole("link", { name: /Günlük.*1\.234\.567,50\sTRY/ }).waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "tr");
    await inspect(customer, "customer-accounts-turkish");
  });

  journey("the keyboard is enough to sign in and to deposit", async (arrive) => {
    const customer = await arrive();
    const { page } = customer;
    await page.goto("/");
    const skip = page.getByRole("link", { name: "Skip to the content" });
    await walkTo(page, skip);
    await page.keyboard.press("Enter");
    await walkTo(page, page.getByRole("main").getByRole("link", { name: "Sign in" }));
    await page.keyboard.press("Enter");
    await page.waitForURL("/sign-in");
    await walkTo(page, page.getByLabel("Email"));
    await page.keyboard.type(ada.email);
    await walkTo(page, page.getByLabel("Password"));
    await page.keyboard.type(ada.password);
    await page.keyboard.press("Enter");
    await page.waitForURL("/app");
    await walkTo(page, page.getByRole("link", { name: /Savings/ }));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Savings" }).waitFor();
    await walkTo(page, page.getByRole("link", { name: "Deposit" }).first());
    await page.keyboard.press("Enter");
    await page.waitForURL("/app/move/deposit?*");
    await walkTo(page, page.getByLabel("Amount"));
    await page.keyboard.type("0.01");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Deposit Completed" }).waitFor();
  });
});
