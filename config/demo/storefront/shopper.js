// One shopper's session, and every question that a storefront asks about them. Nothing here knows the page.

const ATTEMPTS = 4; // of a request that is answered with 503: then nothing was written
const LONGEST_WAIT = 5; // seconds: after more the shopper reads the error instead

export class Refused extends Error {
  /** What the service said: its status, its message, and the details with all reasons. */
  constructor(status, message, details = []) {
    super(message);
    Object.assign(this, { status, details });
  }
}

/** Send a request, and again when the shop is busy and says to come back soon. */
export async function request(url, options) {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, options);
    if (response.status !== 503 || attempt === ATTEMPTS) return response;
    const seconds = Number(response.headers.get("Retry-After") ?? 1);
    if (!(seconds <= LONGEST_WAIT)) return response; // also a date, which the service never sends
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

export async function answerOf(response) {
  if (response.status === 204) return null;
  const answer = await response.json();
  if (response.ok) return answer;
  const said = answer.message ?? answer.error_description ?? answer.fault?.faultstring;
  const message = said ?? `The shop answered ${response.status}.`;
  throw new Refused(response.status, message, answer.details);
}

export class Shopper {
  #tokens = null;
  #isCustomer = false;
  #trees = new Map(); // by language: the tree and its tag

  constructor({ api, tenant, client, language }) {
    Object.assign(this, { api, tenant, client, language });
  }

  // --- Sessions: an anonymous one first, which the login turns into the customer's.

  async #visitorTokens() {
    const query = new URLSearchParams({ tenant: this.tenant, client_id: this.client });
    return answerOf(await request(`${this.api}/customerlogin/auth/anonymous/login?${query}`));
  }

  async logIn(email, password) {
    this.#tokens = await this.#visitorTokens();
    this.#isCustomer = false;
    this.#trees.clear();
    const body = { email, password };
    const response = await this.#send(`/customer/${this.tenant}/login`, { method: "POST", body });
    this.#tokens = await answerOf(response);
    this.#isCustomer = true;
    return this.ask(`/customer/${this.tenant}/me`);
  }

  async logOut() {
    if (this.#isCustomer) await this.#send(`/customer/${this.tenant}/logout`);
    this.#tokens = null;
    this.#isCustomer = false;
  }

  /** Bind the session to a company that the customer is a contact of. */
  async actFor(legalEntityId) {
    const refreshToken = this.#tokens.refresh_token;
    const query = new URLSearchParams({ refreshToken, legalEntityId });
    const response = await this.#send(`/customer/${this.tenant}/refreshauthtoken?${query}`);
    this.#tokens = await answerOf(response);
    this.#trees.clear();
  }

  async #refresh() {
    // The refresh of a customer needs a valid token: a visitor's, as the customer's has expired.
    const refreshToken = this.#tokens.refresh_token;
    const { access_token } = await this.#visitorTokens();
    const headers = { Authorization: `Bearer ${access_token}` };
    const query = new URLSearchParams({ refreshToken });
    const response = await request(`${this.api}/customer/${this.tenant}/refreshauthtoken?${query}`, { headers });
    const isBusy = response.status === 503; // an error to show: the session has not ended
    if (response.ok || isBusy) this.#tokens = await answerOf(response);
    return response.ok;
  }

  // --- Requests: a token that has expired is refreshed once.

  #send(path, { method = "GET", body, headers = {} } = {}) {
    return request(`${this.api}${path}`, {
      method,
      body: body && JSON.stringify(body),
      headers: {
        Authorization: `Bearer ${this.#tokens.access_token}`,
        "Accept-Language": this.language,
        ...(body && { "Content-Type": "application/json" }),
        ...headers,
      },
    });
  }

  async #call(path, options) {
    const response = await this.#send(path, options);
    const hasExpired = response.status === 401 && this.#isCustomer;
    return hasExpired && (await this.#refresh()) ? this.#send(path, options) : response;
  }

  async ask(path, options) {
    return answerOf(await this.#call(path, options));
  }

  // --- What their segments give them.

  segments() {
    return this.ask(`/customer-segment/${this.tenant}/segments?pageSize=200`);
  }

  /** The tree of their categories: kept with its tag, and sent again only when it has changed for them. */
  async tree() {
    const kept = this.#trees.get(this.language);
    const headers = kept ? { "If-None-Match": kept.tag } : {};
    const path = `/customer-segment/${this.tenant}/segments/items/category-trees`;
    const response = await this.#call(path, { headers });
    if (response.status === 304) return { tree: kept.tree, isUnchanged: true };
    const tree = await answerOf(response);
    this.#trees.set(this.language, { tag: response.headers.get("ETag"), tree });
    return { tree, isUnchanged: false };
  }

  async products(categoryId, segments) {
    const query = new URLSearchParams({
      segmentsIds: segments.map((segment) => segment.id).join(","),
      withSubcategories: "true",
      pageSize: "20",
    });
    const path = `/category/${this.tenant}/categories/${encodeURIComponent(categoryId)}/assignments?${query}`;
    return (await this.ask(path)).map((row) => row.ref);
  }

  /** The products that are assigned to their segments one by one, without those of assigned categories. */
  async pickedProducts() {
    const query = new URLSearchParams({ q: "type:PRODUCT", pageSize: "20" });
    const rows = await this.ask(`/customer-segment/${this.tenant}/segments/items?${query}`);
    return [...new Map(rows.map((row) => [row.item.id, row.item])).values()];
  }

  // --- Their coupons, and a cart with several of them.

  coupons(currency) {
    return this.ask(`/coupon/${this.tenant}/me/coupons?${new URLSearchParams({ currency, pageSize: "20" })}`);
  }

  /** What the codes do for the cart; nothing is written. */
  judge(cart) {
    return this.ask(`/coupon/${this.tenant}/cart-validations`, { method: "POST", body: cart });
  }

  /** Hold the codes while the order is paid. With the same key it is done once, however often it is sent. */
  reserve(cart, key) {
    const headers = { "Idempotency-Key": key };
    return this.ask(`/coupon/${this.tenant}/cart-reservations`, { method: "POST", body: cart, headers });
  }

  confirm(reservationId, orderCode) {
    const path = `/coupon/${this.tenant}/cart-reservations/${reservationId}/confirmation`;
    return this.ask(path, { method: "POST", body: { orderCode } });
  }

  release(reservationId) {
    return this.ask(`/coupon/${this.tenant}/cart-reservations/${reservationId}`, { method: "DELETE" });
  }
}
