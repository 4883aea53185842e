// Where the API is and whose shop it is: index.html?api=http://127.0.0.1:8000&tenant=demo&client=demo-storefront
const options = new URLSearchParams(location.search);
const api = options.get("api") ?? "http://127.0.0.1:8000";
const tenant = options.get("tenant") ?? "demo";
const client = options.get("client") ?? "demo-storefront";
const $ = (id) => document.getElementById(id);

// --- Sessions: an anonymous one first, which the login turns into the customer's.

const session = {
  get tokens() { return JSON.parse(sessionStorage.getItem("tokens") ?? "null"); },
  set tokens(tokens) { sessionStorage.setItem("tokens", JSON.stringify(tokens)); },
};

async function visitorTokens() {
  const query = new URLSearchParams({ tenant, client_id: client });
  return checked(await fetch(`${api}/customerlogin/auth/anonymous/login?${query}`));
}

async function openSession() {
  session.tokens = { ...(await visitorTokens()), isCustomer: false };
}

async function refreshSession() {
  if (!session.tokens) return false;
  const { isCustomer, refresh_token } = session.tokens;
  let response;
  if (isCustomer) { // the refresh of a customer needs a valid token: a visitor's, as the customer's has expired
    const { access_token } = await visitorTokens();
    const query = new URLSearchParams({ refreshToken: refresh_token });
    const headers = { Authorization: `Bearer ${access_token}` };
    response = await fetch(`${api}/customer/${tenant}/refreshauthtoken?${query}`, { headers });
  } else {
    const query = new URLSearchParams({ tenant, client_id: client, refresh_token });
    response = await fetch(`${api}/customerlogin/auth/anonymous/refresh?${query}`);
  }
  if (response.ok) session.tokens = { isCustomer, ...(await response.json()) };
  return response.ok;
}

// --- Requests: a token that has expired is refreshed once, errors say what the service said.

async function call(path, { method = "GET", body, headers = {} } = {}, isRetry = false) {
  const response = await fetch(`${api}${path}`, {
    method,
    body: body && JSON.stringify(body),
    headers: {
      Authorization: `Bearer ${session.tokens.access_token}`,
      "Accept-Language": document.documentElement.lang,
      ...(body && { "Content-Type": "application/json" }),
      ...headers,
    },
  });
  if (response.status === 401 && !isRetry && (await refreshSession())) return call(path, { method, body, headers }, true);
  return response;
}

async function checked(response) {
  const answer = await response.json();
  if (response.ok) return answer;
  throw new Error(answer.message ?? answer.fault?.faultstring ?? `The shop answered ${response.status}.`);
}

// --- The tree: kept with its tag, and sent again only when it has changed for this customer.

async function readTree() {
  const stored = JSON.parse(sessionStorage.getItem("tree") ?? "null");
  const headers = stored ? { "If-None-Match": stored.tag } : {};
  const response = await call(`/customer-segment/${tenant}/segments/items/category-trees`, { headers });
  $("source").textContent = response.status === 304 ? "Unchanged: shown from memory." : "Read from the shop.";
  if (response.status === 304) return stored.tree;
  const tree = await checked(response);
  sessionStorage.setItem("tree", JSON.stringify({ tag: response.headers.get("ETag"), tree }));
  return tree;
}

const nameOf = (thing) => Object.values(thing.localizedName ?? thing.name ?? {})[0] ?? thing.id;

function branch(category) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.textContent = nameOf(category);
  button.onclick = () => attempt(() => showProducts(category.id));
  item.append(button);
  const below = category.subcategories ?? [];
  if (below.length) {
    const list = document.createElement("ul");
    list.append(...below.map(branch));
    item.append(list);
  }
  return item;
}

async function showProducts(category) {
  const segments = await checked(await call(`/customer-segment/${tenant}/segments?fields=id&pageSize=200`));
  const query = new URLSearchParams({
    segmentsIds: segments.map((segment) => segment.id).join(","),
    withSubcategories: "true",
    pageSize: "20",
  });
  const rows = await checked(await call(`/category/${tenant}/categories/${encodeURIComponent(category)}/assignments?${query}`));
  $("products").replaceChildren(
    ...rows.map((row) => Object.assign(document.createElement("li"), { textContent: nameOf(row.ref) })),
  );
}

async function checkCoupon(code) {
  const body = { orderTotal: { amount: 50, currency: "USD" }, discount: { amount: 0.01, currency: "USD" } };
  const path = `/coupon/${tenant}/coupons/${encodeURIComponent(code)}/validation`;
  const response = await call(path, { method: "POST", body });
  const answer = await response.json();
  const reasons = (answer.details ?? []).map((reason) => reason.message).join(" ");
  $("verdict").textContent = response.ok ? `It grants ${answer.discount} USD.` : reasons || answer.message;
}

// --- The page.

async function attempt(work) {
  $("message").textContent = "";
  try {
    await work();
  } catch (error) {
    $("message").textContent = error.message;
  }
}

async function show() {
  const isCustomer = Boolean(session.tokens?.isCustomer);
  $("login").hidden = isCustomer;
  $("shop").hidden = !isCustomer;
  if (!isCustomer) return session.tokens ?? openSession();
  const profile = await call(`/customer/${tenant}/me`);
  if (profile.status === 401) { // the session has ended: begin anew
    sessionStorage.clear();
    return show();
  }
  const me = await checked(profile);
  $("customer").textContent = [me.firstName, me.lastName].filter(Boolean).join(" ") || me.contactEmail;
  $("tree").replaceChildren(...(await readTree()).map(branch));
}

$("login").onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    const body = Object.fromEntries(new FormData(event.target));
    if (!(await refreshSession())) await openSession(); // a visitor's token may be old by now
    const response = await call(`/customer/${tenant}/login`, { method: "POST", body }, true); // 401: wrong password
    session.tokens = { ...(await checked(response)), isCustomer: true };
    await show();
  });
};
$("logout").onclick = () => attempt(async () => {
  await call(`/customer/${tenant}/logout`);
  sessionStorage.clear();
  await show();
});
$("coupon").onsubmit = (event) => {
  event.preventDefault();
  attempt(() => checkCoupon(new FormData(event.target).get("code")));
};
await attempt(show);
