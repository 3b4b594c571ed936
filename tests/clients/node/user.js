// What a person does in the browser between a client's request and its answer.

import { Browser, buttons } from "./browser.js";

/**
 * Opens what the client asked to open, approves, signs on, consents, and arrives at the client's redirect URI.
 * Returns the URL of that arrival and the buttons that were pressed.
 */
export async function authorize(authorizationUrl, redirectUri, person, browser = new Browser()) {
  const pressed = [];
  let page = await browser.open(authorizationUrl, redirectUri);
  while (page.answered) {
    const button = steps.find(({ value }) => buttons(page).includes(value));
    if (!button || pressed.includes(button.value)) {
      throw new Error(`stuck at ${page.url} (${page.status}) after ${pressed}:\n${page.text}`);
    }
    page = await browser.press(page, button.value, button.fields(person), redirectUri);
    pressed.push(button.value);
  }
  return { arrival: page.url, pressed };
}

const steps = [
  { value: "approve", fields: () => ({}) },
  { value: "SIGNON", fields: ({ username, password }) => ({ username, password }) },
  { value: "APPROVE", fields: () => ({}) },
];
