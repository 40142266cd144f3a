// Without a script: whatever a customer needs, she can do.

import { journeys } from "./journey.mjs";
import { moveMoney, openAccount, outcome, signIn, signUp, stranger } from "./steps.mjs";

/** Looks again, as the page offers, until the operation has ended so. */
async function endsSo(customer, text) {
  const again = customer.page.getByRole("link", { name: "Look again" });
  while (!(await outcome(customer, text).isVisible())) {
    if (await again.isVisible()) await again.click();
  }
}

journeys("without a script", (journey) => {
  journey("a customer signs up, moves money, and reads of it", async (arrive) => {
    const customer = await arrive({ javaScriptEnabled: false });
    const { page } = customer;
    const person = stranger();
    await signUp(customer, person);
    const current = await openAccount(customer, "Everyday", "EUR");
    const savings = await openAccount(customer, "Savings", "EUR");
    await moveMoney(customer, "deposit", { account: current, amount: "100" });
    await endsSo(customer, "Deposit Completed");
    await moveMoney(customer, "withdraw", { account: current, amount: "100.01" });
    await endsSo(customer, "Withdrawal Failed");
    await page.getByText("There is not enough money in the account.").waitFor();
    await moveMoney(customer, "transfer", { account: current, to: savings, amount: "40" });
    await endsSo(customer, "Transfer Completed");

    await page.getByRole("link", { name: "To the account" }).click();
    await page.getByText("60.00").first().waitFor();
    await page.getByLabel("Kind").selectOption({ label: "Deposit" });
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByRole("row", { name: /Deposit.*100\.00/ }).waitFor();
    await page.getByRole("row", { name: /Transfer/ }).waitFor({ state: "detached" });

    await page.getByRole("link", { name: "Notifications" }).click();
    await page.getByRole("button", { name: "Mark as read" }).first().click();
    await page.getByRole("button", { name: "Deutsch" }).click();
    await page.getByRole("heading", { name: "Nachrichten" }).waitFor();
    await page.getByRole("button", { name: "English" }).click();

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL("/");
    await signIn(customer, person);
    await page.waitForURL("/app");
  });
});
