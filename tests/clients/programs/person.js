// The user of a program and the browser that the program opens.

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

import { Browser, buttons } from "../node/browser.js";
import { authorize } from "../node/user.js";

export class Person {
  /** How each login ended, in order: the buttons that were pressed and the status of the program's page, or the error. */
  logins = [];
  /** If set, the scopes that authorization requests are narrowed to on their way to the browser. */
  scope;
  #server;
  #user;
  #waiting = [];

  static async start(user) {
    const person = new Person();
    person.#user = user;
    person.#server = createServer((request, response) => {
      response.end();
      person.#open(new URL(request.url, "http://localhost").searchParams.get("url"));
    });
    await new Promise((resolve) => person.#server.listen(0, "127.0.0.1", resolve));
    return person;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /**
   * The variables of a program that opens URLs in this browser: by `BROWSER`, or by one of the programs that desktops have.
   * The programs are written to `folder`.
   */
  async environment(folder) {
    const bin = join(folder, "bin");
    await mkdir(bin, { recursive: true });
    const { port } = this.#server.address();
    const script = `#!/bin/sh\nfor url do :; done\nexec curl -sG http://127.0.0.1:${port}/ --data-urlencode "url=$url"\n`;
    for (const name of ["xdg-open", "open", "sensible-browser", "x-www-browser"]) {
      await writeFile(join(bin, name), script);
      await chmod(join(bin, name), 0o755);
    }
    return { BROWSER: join(bin, "xdg-open"), PATH: `${bin}:${process.env.PATH}` };
  }

  /** Waits until `count` logins have ended. */
  async hasLoggedIn(count, seconds = 60) {
    if (this.logins.length >= count) return;
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the program opened no browser: ${JSON.stringify(this.logins)}`)), seconds * 1000);
    });
    const ended = new Promise((resolve) => this.#waiting.push({ count, resolve }));
    await Promise.race([ended, late]).finally(() => clearTimeout(timer));
  }

  /** Ends the access of every client, on the page *Your agents* at this URL. */
  async disconnectAll(url) {
    const browser = new Browser();
    let page = await browser.press(await browser.open(url), "sign-in", {});
    page = await browser.press(page, "SIGNON", this.#user);
    if (buttons(page).includes("APPROVE")) page = await browser.press(page, "APPROVE", {});
    while (buttons(page).includes("end")) page = await browser.press(page, "end", {});
  }

  async #open(url) {
    const browser = new Browser();
    const request = new URL(url);
    const redirectUri = request.searchParams.get("redirect_uri");
    if (this.scope) request.searchParams.set("scope", this.scope);
    const login = await authorize(request.href, redirectUri, this.#user, browser)
      // The listener of the program.
      .then(async ({ arrival, pressed }) => ({ pressed, status: (await browser.open(arrival)).status }))
      .catch((error) => ({ error }));
    this.logins.push(login);
    for (const { count, resolve } of this.#waiting) if (this.logins.length >= count) resolve();
  }
}
