"""A user with a scripted browser: cookies, redirects and forms over plain HTTP."""

import http.client
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

# The buttons that a user presses during a login, with the fields that each needs.
STEPS = {
    "approve": lambda username, password: {},
    "SIGNON": lambda username, password: {"username": username, "password": password},
    "APPROVE": lambda username, password: {},
}


def authorize(authorization_url, redirect_uri, user):
    """Opens the authorization URL, approves, signs on and consents.

    Returns the URL of the redirect back to the client, and the buttons that were pressed.
    """
    browser = Browser(redirect_uri)
    pressed = []
    url, page = browser.open("GET", authorization_url, site="none")
    while page is not None:
        form = next((form for form in page.forms if STEPS.keys() & form.buttons.keys()), None)
        button = form and next(value for value in STEPS if value in form.buttons)
        if button is None or button in pressed:
            raise AssertionError(f"stuck at {url} after {pressed}:\n{page.text}")
        fields = {**form.fields, **STEPS[button](*user), form.buttons[button]: button}
        pressed.append(button)
        url, page = browser.open("POST", urljoin(url, form.action), urlencode(fields, doseq=True))
    return url, pressed


class Browser:
    """A browser that stops before requesting a URL that starts with `until`."""

    def __init__(self, until):
        self.until = until
        # As in real browsers, cookies belong to a host and all its ports, and `http://localhost` may set `Secure` cookies.
        self.cookies = {}

    def open(self, method, url, body=None, site="same-origin"):
        """Follows redirects. Returns the last URL and its page, or `None` as the page if the URL starts with `until`."""
        for _ in range(20):
            if url.startswith(self.until):
                return url, None
            response, text = self._send(method, url, body, site)
            location = response.getheader("location")
            if not (300 <= response.status < 400 and location):
                return url, Page(text)
            method, body, before, url = "GET", None, url, urljoin(url, location)
            if site != "none" and urlsplit(before).netloc != urlsplit(url).netloc:
                site = "same-site"
        raise AssertionError(f"too many redirects, the last to {url}")

    def _send(self, method, url, body, site):
        parts = urlsplit(url)
        headers = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-site": site}
        if cookies := self.cookies.get(parts.hostname):
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if body is not None:
            headers |= {"content-type": "application/x-www-form-urlencoded", "origin": "null"}
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        try:
            connection.request(method, f"{parts.path or '/'}?{parts.query}".rstrip("?"), body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        for line in response.headers.get_all("set-cookie", []):
            self._keep(parts.hostname, line)
        return response, text

    def _keep(self, host, line):
        held = self.cookies.setdefault(host, {})
        for name, cookie in SimpleCookie(line).items():
            if cookie["max-age"] == "0":
                held.pop(name, None)
            else:
                held[name] = cookie.value


class Form:
    """A form: the values of its fields by name, and the names of its buttons by value."""

    def __init__(self, action):
        self.action, self.fields, self.buttons = action, {}, {}


class Page(HTMLParser):
    """The forms of a page."""

    def __init__(self, text):
        super().__init__()
        self.text, self.forms = text, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        if tag == "form":
            self.forms.append(Form(of.get("action", "")))
        elif tag == "input" and "name" in of and (of.get("type") not in ("checkbox", "radio") or "checked" in of):
            self.forms[-1].fields.setdefault(of["name"], []).append(of.get("value", ""))
        elif tag == "button" and "name" in of:
            self.forms[-1].buttons[of.get("value", "")] = of["name"]
