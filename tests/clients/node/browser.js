// A scripted browser: cookies, redirects and forms over plain HTTP.

import { request } from "node:http";

export class Browser {
  /** Every URL that was requested or redirected to, with the form that was sent. */
  visited = [];
  /** The value of every cookie that was ever set. */
  cookieValues = [];
  #cookies = [];

  /** Opens `url` as from the address bar. Stops before requesting a URL that starts with `until`. */
  async open(url, until) {
    return this.#go("GET", new URL(url), null, { "sec-fetch-site": "none" }, until);
  }

  /** Fills in the form of `page` that has a button with this value, and presses the button. */
  async press(page, value, fields, until) {
    const form = formWith(page, value);
    if (!form) throw new Error(`no button ${value} at ${page.url}:\n${page.text}`);
    const body = new URLSearchParams(form.inputs);
    for (const [name, text] of Object.entries(fields)) {
      if (!form.names.includes(name)) throw new Error(`no field ${name} at ${page.url}:\n${page.text}`);
      body.set(name, text);
    }
    body.append(form.button, value);
    const url = new URL(form.action ?? page.url, page.url);
    if (form.method === "get") {
      url.search = body;
      return this.#go("GET", url, null, { "sec-fetch-site": site(page.url, url) }, until);
    }
    const hidden = page.headers["referrer-policy"] === "no-referrer";
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "sec-fetch-site": site(page.url, url),
      // Under `no-referrer`, browsers send `null`.
      origin: hidden ? "null" : page.url.origin,
    };
    return this.#go("POST", url, body.toString(), headers, until);
  }

  async #go(method, url, body, headers, until) {
    for (let redirects = 0; redirects < 20; redirects += 1) {
      this.visited.push({ url, form: body && new URLSearchParams(body) });
      if (until && url.href.startsWith(until)) return { url, loaded: false };
      const page = await this.#send(method, url, body, headers);
      if (page.status < 300 || page.status > 399 || !page.headers.location) return page;
      const next = new URL(page.headers.location, url);
      headers = { "sec-fetch-site": headers["sec-fetch-site"] === "none" ? "none" : site(url, next) };
      [method, body, url] = ["GET", null, next];
    }
    throw new Error(`too many redirects, the last to ${url}`);
  }

  #send(method, url, body, headers) {
    const cookie = this.#cookiesFor(url);
    const all = {
      accept: "text/html",
      "sec-fetch-dest": "document",
      "sec-fetch-mode": "navigate",
      ...(cookie && { cookie }),
      ...(body && { "content-length": Buffer.byteLength(body) }),
      ...headers,
    };
    return new Promise((resolve, reject) => {
      const sent = request(url, { method, headers: all, agent: false }, (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          this.#keep(url, response.headers["set-cookie"] ?? []);
          const { statusCode: status, headers } = response;
          resolve({ url, loaded: true, status, headers, text: Buffer.concat(chunks).toString() });
        });
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }

  // As in real browsers, a cookie belongs to a host and all its ports, and `http://localhost` may set `Secure` cookies.
  #keep(url, lines) {
    for (const line of lines) {
      const [pair, ...attributes] = line.split(";").map((part) => part.trim());
      const [name, value] = split(pair, "=");
      if (value) this.cookieValues.push(value);
      const of = Object.fromEntries(attributes.map((part) => split(part, "=")).map(([k, v]) => [k.toLowerCase(), v]));
      const path = of.path ?? "/";
      const same = (held) => held.host === url.hostname && held.name === name && held.path === path;
      this.#cookies = this.#cookies.filter((held) => !same(held));
      const expired = Number(of["max-age"]) <= 0 || Date.parse(of.expires) <= Date.now();
      if (!expired) this.#cookies.push({ host: url.hostname, name, path, value });
    }
  }

  #cookiesFor(url) {
    const below = (path) => url.pathname === path || url.pathname.startsWith(path.replace(/\/?$/, "/"));
    const held = this.#cookies.filter(({ host, path }) => host === url.hostname && below(path));
    return held.map(({ name, value }) => `${name}=${value}`).join("; ");
  }
}

/** The form of `page` with a button of this value: its action and method, the name of the button, and the inputs. */
export function formWith(page, value) {
  for (const [, attributes, inside] of page.text.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)) {
    const button = elements(inside, "button").find((element) => element.value === value);
    if (!button) continue;
    const { action, method } = parse(attributes);
    const fields = elements(inside, "input").filter(({ name }) => name !== undefined);
    const boxes = ["checkbox", "radio"];
    const sent = fields.filter((field) => !boxes.includes(field.type) || field.checked !== undefined);
    const inputs = sent.map((field) => [field.name, field.value ?? (boxes.includes(field.type) ? "on" : "")]);
    const names = fields.map(({ name }) => name);
    return { action, method: (method ?? "get").toLowerCase(), button: button.name, inputs, names };
  }
  return null;
}

/** The values of all buttons of `page`. */
export function buttons(page) {
  return elements(page.text, "button").map(({ value }) => value);
}

function elements(html, tag) {
  return [...html.matchAll(new RegExp(`<${tag}\\b([^>]*)>`, "gis"))].map(([, attributes]) => parse(attributes));
}

function parse(attributes) {
  const found = {};
  for (const [, name, double, single, bare] of attributes.matchAll(
    /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g,
  )) {
    found[name.toLowerCase()] = unescape(double ?? single ?? bare ?? "");
  }
  return found;
}

function unescape(text) {
  const named = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name) return named[name] ?? whole;
    return String.fromCodePoint(hex ? parseInt(hex, 16) : Number(decimal));
  });
}

function split(text, at) {
  const index = text.indexOf(at);
  return index < 0 ? [text, ""] : [text.slice(0, index), text.slice(index + 1)];
}

// A site ignores ports; an origin does not.
function site(from, to) {
  if (from.origin === to.origin) return "same-origin";
  return from.hostname === to.hostname ? "same-site" : "cross-site";
}
