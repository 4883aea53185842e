// The page: two shoppers side by side. Another shop:
// index.html?api=https://api.shop.example&tenant=acme&client=shop&first=ann@example.com&second=bob@example.com

import { previewer } from "./preview.js";
import { Shopper } from "./shopper.js";
import { MISSING, REASONS, REMEDIES, STARTS, TEXTS } from "./texts.js";

const given = new URLSearchParams(location.search);
const isServedByShop = location.pathname.startsWith("/shop/");
const shop = {
  api: given.get("api") ?? (isServedByShop ? location.origin : "http://127.0.0.1:8000"),
  tenant: given.get("tenant") ?? "demo",
  client: given.get("client") ?? "demo-storefront",
};
const isDemo = shop.tenant === "demo";
const DEMO_SERVICE = { clientId: "demo-backend", secret: "demo-backend-secret" }; // published, see preview.js
const DEMO_PASSWORD = "demo";
const HOUSEHOLDS = ["1", "13", "22", "371", "718", "1010", "1074", "2040"].map((id) => `household-${id}@example.com`);
const SHOPPERS = [given.get("first") ?? HOUSEHOLDS[0], given.get("second") ?? HOUSEHOLDS[5]];
const CURRENCY = given.get("currency") ?? "USD";
const SHIPPING = 4.9;

let language = TEXTS[given.get("language")] ? given.get("language") : navigator.language.startsWith("de") ? "de" : "en";
const text = (name) => TEXTS[language][name];
const nameOf = (thing) => {
  const names = thing.localizedName ?? thing.name ?? {};
  return typeof names === "string" ? names : (names[language] ?? Object.values(names)[0] ?? thing.id);
};
const money = (amount) => new Intl.NumberFormat(language, { style: "currency", currency: CURRENCY }).format(amount);
const day = (instant) => new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(instant));
const time = (instant) => new Intl.DateTimeFormat(language, { timeStyle: "medium" }).format(new Date(instant));

/** A price that only this page knows: 0.79 to 8.78, always the same for a product. */
const priceOf = (id) => (79 + (Number.parseInt(id, 10) || id.length * 100) % 800) / 100;
const cents = (amount) => Math.round(amount * 100) / 100;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

class Panel {
  constructor(number, email) {
    this.root = document.getElementById("shopper").content.firstElementChild.cloneNode(true);
    this.shopper = new Shopper({ ...shop, language });
    this.segments = [];
    this.lines = new Map(); // by the product's id: its name and quantity
    this.codes = [];
    this.root.id = `shopper-${number}`;
    this.login = this.find("form.login");
    if (isDemo) this.offerHouseholds(email);
    this.login.email.value = email;
    this.login.onsubmit = (event) => this.does(event, () => this.logIn());
    this.find(".codes").onsubmit = (event) => this.does(event, () => this.addCode(event.target.code.value));
    this.find(".acting select").onchange = (event) => this.does(event, () => this.actFor(event.target.value));
    this.find(".suggest").onclick = (event) => this.does(event, () => this.suggest());
    this.find(".reserve").onclick = (event) => this.does(event, () => this.reserve());
    this.find(".order").onclick = (event) => this.does(event, () => this.order());
    this.find(".release").onclick = (event) => this.does(event, () => this.release());
  }

  /** Let one of the demo's customers be chosen instead of entered. */
  offerHouseholds(email) {
    const offered = [...new Set([...HOUSEHOLDS, email])].map((one) => new Option(one));
    const choice = element("select", { name: "email" }, ...offered);
    choice.onchange = () => this.login.requestSubmit();
    this.login.email.replaceWith(choice);
    this.login.password.value = DEMO_PASSWORD;
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  /** Do the work, one thing after the other, and say what the service said when it refuses. */
  async does(event, work) {
    event?.preventDefault();
    this.find(".message").textContent = "";
    this.working = (this.working ?? Promise.resolve()).then(work).catch((error) => {
      const reasons = (error.details ?? []).map((detail) => detail.message).filter(Boolean);
      this.find(".message").textContent = [...new Set([error.message, ...reasons])].join(" ");
    });
    await this.working;
  }

  async logIn() {
    await this.giveBack();
    await this.shopper.logOut();
    this.find(".shop").hidden = true;
    this.customer = await this.shopper.logIn(this.login.email.value, this.login.password.value);
    this.lines.clear();
    this.codes = [];
    this.endReservation("");
    const { firstName, lastName, contactEmail, b2b } = this.customer;
    this.find(".name").textContent = [firstName, lastName].filter(Boolean).join(" ") || contactEmail;
    const companies = b2b?.legalEntities ?? [];
    this.find(".acting").hidden = companies.length === 0;
    this.find(".acting select").replaceChildren(
      ...(companies.length === 1 ? [] : [new Option(text("nobody"), "")]),
      ...companies.map((company) => new Option(company.name, company.id)),
    );
    await this.show();
    this.find(".shop").hidden = false;
  }

  async actFor(legalEntityId) {
    if (!legalEntityId) return this.logIn(); // only a new session acts for nobody again
    await this.giveBack();
    await this.shopper.actFor(legalEntityId);
    await this.show();
  }

  /** Show the shop: of today by the shopper's own token, of another day by a preview. */
  async show() {
    if (!this.customer) return;
    const isPreview = Boolean(date());
    this.shopper.language = language;
    const seen = isPreview ? await this.preview() : await this.today();
    this.segments = seen.segments;
    this.find(".today").hidden = isPreview;
    this.find(".source").textContent = text(isPreview ? "preview" : seen.isUnchanged ? "unchanged" : "read");
    this.find("[data-count=segments]").textContent = this.segments.length;
    this.find(".segments").replaceChildren(
      ...(this.segments.length ? this.segments.map(segmentItem) : [element("li", { textContent: text("noSegments") })]),
    );
    this.find("[data-count=categories]").textContent = count(seen.tree);
    this.find(".tree").replaceChildren(
      seen.tree.length ? this.branch(seen.tree) : element("p", { textContent: text("noCategories") }),
    );
    this.find(".that-day").hidden = !isPreview;
    this.showProducts(text("products"), isPreview ? seen.products : await this.shopper.pickedProducts());
    if (isPreview) return this.showVerdictsThen(seen.verdicts);
    await this.showCoupons();
    await this.showCart();
  }

  async today() {
    const [segments, { tree, isUnchanged }] = await Promise.all([this.shopper.segments(), this.shopper.tree()]);
    return { segments, tree, isUnchanged };
  }

  async preview() {
    const then = await previewer({ ...shop, ...DEMO_SERVICE, language });
    const legalEntityId = this.find(".acting select").value;
    const as = { customerId: this.customer.id, legalEntityId, asOf: `${date()}T12:00:00.000Z` };
    const codes = this.lines.size ? this.codes : [];
    const [seen, ...verdicts] = await Promise.all([
      then.shop(as),
      ...codes.map((code) => then.judge(code, this.cart(), as)),
    ]);
    return { ...seen, verdicts };
  }

  showVerdictsThen(verdicts) {
    const rows = verdicts.map((coupon) =>
      element("li", { className: coupon.accepted ? "accepted" : "refused" }, element("strong", { textContent: coupon.code }), ` ${verdictText(coupon)}`),
    );
    this.find(".verdicts-then").replaceChildren(...(rows.length ? rows : [element("li", { textContent: text("noCodes") })]));
  }

  /** A level of the tree; what lies below a category is made when it is opened. */
  branch(categories) {
    return element("ul", {}, ...categories.map((category) => {
      const isPreview = Boolean(date()); // whose products the API does not list by category
      const choose = element(isPreview ? "span" : "button", { textContent: nameOf(category) });
      if (!isPreview) choose.type = "button";
      choose.onclick = isPreview ? null : (event) => this.does(event, () => this.openCategory(category));
      const below = category.subcategories ?? [];
      if (!below.length) return element("li", { className: "leaf" }, choose);
      const total = element("span", { className: "number", textContent: count(below) });
      const opened = element("details", {}, element("summary", {}, choose, " ", total));
      opened.addEventListener("toggle", () => opened.append(this.branch(below)), { once: true });
      return element("li", {}, opened);
    }));
  }

  async openCategory(category) {
    this.showProducts(nameOf(category), await this.shopper.products(category.id, this.segments));
  }

  showProducts(title, products) {
    this.find(".chosen").textContent = title;
    const rows = products.map((product) => {
      if (date()) return element("li", {}, element("span", { textContent: nameOf(product) }));
      const add = element("button", { type: "button", textContent: text("add") });
      add.ariaLabel = `${text("addNamed")} ${nameOf(product)}`;
      add.onclick = (event) => this.does(event, () => this.addProduct(product));
      const price = element("span", { className: "number", textContent: money(priceOf(product.id)) });
      return element("li", {}, element("span", { textContent: nameOf(product) }), price, add);
    });
    this.find(".products").replaceChildren(
      ...(rows.length ? rows : [element("li", { textContent: text("noProducts") })]),
    );
  }

  // --- The cart.

  async addProduct(product) {
    const line = this.lines.get(product.id) ?? { name: nameOf(product), quantity: 0 };
    this.lines.set(product.id, { ...line, quantity: line.quantity + 1 });
    await this.cartChanged();
  }

  async addCode(code) {
    if (!this.codes.includes(code.trim())) this.codes.push(code.trim());
    this.find(".codes").reset();
    await this.cartChanged();
  }

  /** Take the set of their own codes and those entered that takes most off. */
  async suggest() {
    const { suggestion } = await this.shopper.judge({ ...this.cart(), suggest: true });
    this.codes = suggestion.codes;
    await this.cartChanged();
    this.find(".outcome").textContent = suggestion.codes.length ? "" : text("nothingSuggested");
  }

  /** What was reserved is for the cart as it was: give it back, and judge the cart as it is now. */
  async cartChanged() {
    this.find(".outcome").textContent = "";
    try {
      await this.release();
    } finally {
      await this.showCart();
    }
  }

  cart() {
    const items = [...this.lines].map(([id, { quantity }]) => ({ id, quantity, amount: cents(priceOf(id) * quantity) }));
    return { currency: CURRENCY, items, shipping: SHIPPING, codes: this.codes };
  }

  async showCart() {
    this.find(".empty").hidden = this.lines.size > 0;
    this.find(".lines").hidden = this.find(".suggest").disabled = this.lines.size === 0;
    const judged = this.lines.size ? await this.shopper.judge(this.cart()) : { items: [], coupons: [] };
    this.find(".lines tbody").replaceChildren(...judged.items.map((item) => this.lineRow(item)));
    this.find(".lines tfoot").replaceChildren(...(judged.totals ? sums(judged) : []));
    this.find(".verdicts").replaceChildren(...judged.coupons.map((coupon) => this.verdict(coupon)));
    const isGood = judged.coupons.length > 0 && judged.coupons.every((coupon) => coupon.accepted);
    this.find(".reserve").disabled = !isGood;
  }

  lineRow(item) {
    const { name, quantity } = this.lines.get(item.id);
    const field = element("input", { type: "number", min: 0, max: 99, value: quantity, ariaLabel: `${text("quantity")}: ${name}` });
    field.onchange = (event) => this.does(event, async () => {
      const wanted = Number(field.value);
      if (wanted > 0) this.lines.set(item.id, { name, quantity: wanted });
      else this.lines.delete(item.id);
      await this.cartChanged();
    });
    return row(name, field, money(item.amount), Number(item.discount) ? `− ${money(item.discount)}` : "");
  }

  verdict(coupon) {
    const remove = element("button", { type: "button", textContent: text("remove"), ariaLabel: `${text("remove")}: ${coupon.code}` });
    remove.onclick = (event) => this.does(event, async () => {
      this.codes = this.codes.filter((code) => code !== coupon.code);
      await this.cartChanged();
    });
    const words = verdictText(coupon);
    const className = coupon.accepted ? "accepted" : "refused";
    return element("li", { className }, element("strong", { textContent: coupon.code }), ` ${words} `, remove);
  }

  async showCoupons() {
    const coupons = await this.shopper.coupons(CURRENCY);
    this.find(".own ul").replaceChildren(
      ...(coupons.length ? coupons.map((coupon) => {
        const use = element("button", { type: "button", textContent: coupon.code });
        use.onclick = (event) => this.does(event, () => this.addCode(coupon.code));
        const name = coupon.mixins?.completeJourney?.name?.[language] ?? coupon.name;
        return element("li", {}, use, ` ${name}`);
      }) : [element("li", { textContent: text("noCoupons") })]),
    );
  }

  // --- From the cart to the order: reserve, then confirm or release.

  async reserve() {
    this.reservation = await this.shopper.reserve(this.cart(), crypto.randomUUID());
    this.showReservation(`${text("reserved")} ${time(this.reservation.expiresAt)}.`);
  }

  async order() {
    if (!this.reservation) return; // clicked twice
    const orderCode = `SHOP-${Date.now()}`;
    const { redemptions } = await this.shopper.confirm(this.reservation.id, orderCode);
    this.lines.clear();
    this.codes = [];
    const codes = redemptions.map((redemption) => redemption.code).join(", ");
    this.endReservation(`${text("ordered")} ${orderCode}. ${text("redeemed")} ${codes}`);
    await this.showCart();
    await this.showCoupons();
  }

  /** Give back what is reserved; the page goes on without it, whatever the service answers. */
  async release() {
    if (!this.reservation) return;
    const { id } = this.reservation;
    this.endReservation("");
    await this.shopper.release(id);
    this.find(".outcome").textContent = text("released");
  }

  /** Release before the session becomes another's, who could not do it any more. */
  async giveBack() {
    try {
      await this.release();
    } catch (error) {
      // The reservation may be over by then, with its session (401), replaced (404) or confirmed (409).
      if (![401, 404, 409].includes(error.status)) throw error;
    }
  }

  endReservation(words) {
    this.reservation = null;
    this.showReservation(words);
  }

  showReservation(words) {
    this.find(".reserve").hidden = Boolean(this.reservation);
    this.find(".order").hidden = this.find(".release").hidden = !this.reservation;
    this.find(".outcome").textContent = words;
  }
}

const count = (categories) =>
  categories.reduce((total, category) => total + 1 + count(category.subcategories ?? []), 0);

const row = (...cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));

const verdictText = (coupon) =>
  coupon.accepted ? `${text("takesOff")} ${money(coupon.discount)}` : coupon.reasons.map(reasonText).join(" ");

function reasonText({ type, message, remedy, missingAmount }) {
  const start = type === "coupon_not_started" && remedy?.match(/\d{4}-\d{2}-\d{2}T[\d:.]+Z/)?.[0];
  const needed = missingAmount
    ? MISSING[language](money(missingAmount))
    : start ? STARTS[language](day(start)) : REMEDIES[language] ? REMEDIES[language][type] : remedy;
  return [REASONS[language][type] ?? message, needed].filter(Boolean).join(" ");
}

function sums({ shipping, totals }) {
  const off = (amount) => (Number(amount) ? `− ${money(amount)}` : "");
  return [
    row(text("shipping"), "", money(shipping.amount), off(shipping.discount)),
    row(element("strong", { textContent: text("total") }), "", element("strong", { textContent: money(totals.total) }), off(totals.discount)),
  ];
}

function segmentItem(segment) {
  const ends = segment.validity?.to;
  return element("li", {}, nameOf(segment), ends ? element("small", { textContent: ` ${text("until")} ${day(ends)}` }) : "");
}

// --- Both panels, and what they share.

const options = document.getElementById("options");
const date = () => options.date.value;
const panels = SHOPPERS.map((email, number) => new Panel(number + 1, email));

function translate() {
  document.documentElement.lang = language;
  document.title = text("title");
  options.language.value = language;
  const pages = [document, ...panels.map((panel) => panel.root)];
  for (const page of pages)
    for (const place of page.querySelectorAll("[data-text]")) place.textContent = text(place.dataset.text);
}

options.language.onchange = () => {
  language = options.language.value;
  translate();
  for (const panel of panels) panel.does(null, () => panel.show());
};
options.date.min = new Date().toISOString().slice(0, 10);
options.date.disabled = !isDemo;
options.onsubmit = (event) => event.preventDefault();
options.date.onchange = () => panels.forEach((panel) => panel.does(null, () => panel.show()));

document.getElementById("shoppers").append(...panels.map((panel) => panel.root));
translate();
if (isDemo) for (const panel of panels) panel.does(null, () => panel.logIn());
