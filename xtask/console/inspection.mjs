// The inspection of a page: how it looks on a telephone and on a desk, by day and by night, and whether everybody can
// use it.
//
// Pictures are left for people to look at; they are not compared, because what they show (times, identifiers) differs
// from run to run. What a machine can judge is judged: nothing is wider than a telephone, and axe-core finds nothing
// serious.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { pictureNamed } from "./settings.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const grave = ["serious", "critical"];

const devices = { phone: { width: 375, height: 740 }, desktop: { width: 1280, height: 800 } };
const schemes = ["light", "dark"];

/** Inspects the page that a visitor is on, and leaves its pictures as `NAME-DEVICE-SCHEME.png`. */
export async function inspect(visitor, name) {
  const { page, complaints } = visitor;
  for (const [device, viewport] of Object.entries(devices)) {
    await page.setViewportSize(viewport);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > viewport.width) complaints.push(`${name} is ${width} wide on a ${device} of ${viewport.width}`);
    for (const colorScheme of schemes) {
      await page.emulateMedia({ colorScheme });
      const look = `${name}-${device}-${colorScheme}`;
      await page.screenshot({ path: pictureNamed(look), fullPage: true, animations: "disabled" });
      for (const violation of await barriers(page)) complaints.push(`${look}: ${violation}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** What keeps somebody from using the page. The policy of the page does not keep the debugger's scripts out. */
async function barriers(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const found = await page.evaluate(async (values) => {
    const { violations } = await globalThis.axe.run(document, {
      runOnly: { type: "tag", values },
      resultTypes: ["violations"],
    });
    return violations.map(({ id, impact, help, nodes }) => {
      return { impact, told: `${id}: ${help}: ${nodes.map((node) => node.target).join(", ")}` };
    });
  }, rules);
  return found.filter(({ impact }) => grave.includes(impact)).map(({ told }) => told);
}
