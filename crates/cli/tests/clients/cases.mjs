// Cases of the TypeScript SDKs: one line for each, and an exit code that says whether all went well.

import { createRequire } from "node:module";
import { join } from "node:path";
import { isDeepStrictEqual, inspect } from "node:util";

/** Finds packages where the SDKs are installed, which is where the program is started. */
export const require = createRequire(join(process.cwd(), "package.json"));

export const env = process.env;

// Cases that run side by side.
const AT_ONCE = 6;

export class Cases {
  constructor(family, version) {
    this.family = `${family} ${version}`;
    // Without a platform in between, the mock itself is tried: what only the platform does is left out.
    this.direct = env.DIRECT === "1";
    this.models = env.VIA.split(" ");
    this.all = [];
  }

  /** Through every upstream. */
  each(name, run) {
    this.add(name, run, this.models);
  }

  /** Through the first upstream, which speaks the same API. */
  once(name, run) {
    this.add(name, run, this.models.slice(0, 1));
  }

  /** What the platform does by itself. */
  platform(name, run) {
    this.add(name, run, this.direct ? [] : this.models.slice(0, 1));
  }

  platformEach(name, run) {
    this.add(name, run, this.direct ? [] : this.models);
  }

  add(name, run, models) {
    for (const model of models) this.all.push({ name, run, model });
  }

  async run() {
    const chosen = process.argv.slice(2);
    const left = this.all.filter(({ name }) => !chosen.length || chosen.includes(name));
    let failed = 0;
    // Most of the time goes to waiting: for tries after a while, for what never comes.
    const worker = async () => {
      while (left.length) if (await this.fails(left.shift())) failed += 1;
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    process.exit(failed ? 1 : 0);
  }

  /** Runs a case and says how it went. */
  async fails({ name, run, model }) {
    const tag = `j${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
    const started = performance.now();
    try {
      await run(model, tag);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`ok ${this.family} ${model} ${name} (${seconds} s)`);
      return false;
    } catch (error) {
      console.log(`failed ${this.family} ${model} ${name}: ${place(error)}${String(error)}`.slice(0, 1500));
      if (env.TRACE) console.log(error);
      return true;
    }
  }
}

/** The line of a program's own where it went wrong. */
function place(error) {
  const lines = String(error?.stack).split("\n").filter((line) => line.includes("tests/clients/") && !line.includes("cases.mjs"));
  const line = lines[0]?.match(/:(\d+):\d+/)?.[1];
  return line ? `(line ${line}) ` : "";
}

/** A prompt that tells the mock model what to say. */
export function script(tag, turns, more = {}) {
  return "script:" + JSON.stringify({ tag, turns, ...more });
}

/** What arrived upstream for a tag. */
export async function seen(tag, more = "") {
  return (await fetch(`${env.MOCK}/_seen?tag=${tag}${more}`)).json();
}

/** Whether a client of the upstream went away before its answer ended. Waits for it. */
export async function seenGone(tag) {
  return (await seen(tag, "&gone=1")).some((each) => each.gone);
}

export function check(holds, otherwise) {
  if (!holds) throw new Error(typeof otherwise === "string" ? otherwise : inspect(otherwise, { depth: 6 }));
}

export function equal(found, expected) {
  if (!isDeepStrictEqual(found, expected)) {
    throw new Error(`${inspect(found, { depth: 6 })} is not ${inspect(expected, { depth: 6 })}`);
  }
}

/** The error of a call, which has to be of a class. */
export async function refused(kind, call) {
  try {
    await call();
  } catch (error) {
    check(error instanceof kind, `${error} is not of the class ${kind.name}`);
    return error;
  }
  throw new Error(`there was no ${kind.name}`);
}

export function user(content) {
  return { role: "user", content };
}

export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
