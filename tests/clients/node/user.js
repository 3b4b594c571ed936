// The steps of a user in the browser, from the authorization request to the redirect back to the client.

import { Browser, buttons } from "./browser.js";

/**
 * Opens the authorization URL, approves, signs on and consents. Returns the URL of the redirect back to the client, and the
 * buttons that were pressed.
 */
export async function authorize(authorizationUrl, redirectUri, user, browser = new Browser()) {
  const pressed = [];
  let page = await browser.open(authorizationUrl, redirectUri);
  while (page.loaded) {
    const button = steps.find(({ value }) => buttons(page).includes(value));
    if (!button || pressed.includes(button.value)) {
      throw new Error(`stuck at ${page.url} (${page.status}) after ${pressed}:\n${page.text}`);
    }
    page = await browser.press(page, button.value, button.fields(user), redirectUri);
    pressed.push(button.value);
  }
  return { arrival: page.url, pressed };
}

const steps = [
  { value: "approve", fields: () => ({}) },
  { value: "SIGNON", fields: ({ username, password }) => ({ username, password }) },
  { value: "APPROVE", fields: () => ({}) },
];
