// The storage of a client with an SDK: its registration, its tokens, and the URLs that it asked the user to open.

export class Wallet {
  redirectUrl = "http://127.0.0.1:33418/callback";
  /** The authorization URLs that the SDK asked the user to open. */
  opened = [];
  #kept;
  #verifier;
  #state;

  constructor(name, kept = "{}") {
    this.name = name;
    this.#kept = JSON.parse(kept);
  }

  /** The stored values, as a client would write them to its disk. */
  toString() {
    return JSON.stringify(this.#kept);
  }

  get clientMetadata() {
    return {
      client_name: this.name,
      redirect_uris: [this.redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }

  clientInformation() {
    return this.#kept.client;
  }

  saveClientInformation(client) {
    this.#kept.client = client;
  }

  tokens() {
    return this.#kept.tokens;
  }

  saveTokens(tokens) {
    this.#kept.tokens = tokens;
  }

  /** Replaces the access token by one that Deputy rejects, as if it had expired. */
  spoilAccessToken() {
    this.#kept.tokens.access_token = "expired";
  }

  state() {
    this.#state = crypto.randomUUID();
    return this.#state;
  }

  /** The parameters of the authorization response. Throws unless its `state` is that of the last request (OAuth 2.1 §7.12). */
  received(arrival) {
    const state = arrival.searchParams.get("state");
    if (state !== this.#state) throw new Error(`state is ${state} instead of ${this.#state}`);
    return arrival.searchParams;
  }

  redirectToAuthorization(url) {
    this.opened.push(url.href);
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
  }

  codeVerifier() {
    return this.#verifier;
  }

  discoveryState() {
    return this.#kept.discovery;
  }

  saveDiscoveryState(state) {
    this.#kept.discovery = state;
  }

  invalidateCredentials(scope) {
    if (scope === "all" || scope === "client") delete this.#kept.client;
    if (scope === "all" || scope === "tokens") delete this.#kept.tokens;
    if (scope === "all" || scope === "discovery") delete this.#kept.discovery;
  }
}
