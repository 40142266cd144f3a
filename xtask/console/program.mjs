// Banks and consoles that a journey starts for itself, and stops behind it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pass } from "node:timers/promises";

import { bankProgram, dataFolder } from "./settings.mjs";
import { patience } from "./visitor.mjs";

// The settings of a developer's own bank are not those of a test.
const surroundings = Object.entries(process.env).filter(([name]) => !name.startsWith("BANK_"));

/** A folder for the data of a bank. */
export function freshFolder() {
  return mkdtempSync(join(dataFolder, "bank-"));
}

/** Starts the program with these arguments and settings, and waits until it says where it listens. */
export async function start(args, settings = {}) {
  const program = spawn(bankProgram, [...args, "--listen", "127.0.0.1:0"], {
    env: { ...Object.fromEntries(surroundings), ...settings },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const kill = () => program.kill("SIGKILL");
  process.once("exit", kill);
  let output = "";
  program.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  const address = /(?:console| is at) +(http:\/\/127\.0\.0\.1:\d+)[\s.]/;
  const url = await until("the address of the console", () => output.match(address)?.[1]).catch((error) => {
    kill();
    throw error;
  });
  const stop = async () => {
    if (program.exitCode !== null || program.signalCode !== null) return;
    const ended = once(program, "exit");
    program.kill("SIGTERM");
    await ended;
    process.removeListener("exit", kill);
  };
  return { url, stop };
}

/** Looks again and again until there is something to return. */
export async function until(what, look) {
  const deadline = Date.now() + patience;
  while (Date.now() < deadline) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    await pass(20);
  }
  throw new Error(`${what} did not come`);
}
