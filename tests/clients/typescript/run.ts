// Runs the clients that openapi-typescript and orval made of the OpenAPI document against the demo shop.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./build/openapi-typescript.js";
import * as orval from "./build/orval.js";
import { serviceToken, tenant, tryOut, url, type Client } from "./shop.js";

const headers = { Authorization: `Bearer ${await serviceToken()}` };
const api = createClient<paths>({ baseUrl: url, headers });

// A coupon of campaign 18, and one of its customers.
const coupons = await api.GET("/coupon/{tenant}/coupons", {
  params: { path: { tenant }, query: { q: "code:~^C18-", pageSize: 1 } },
});
const members = await api.GET("/customer-segment/{tenant}/segments/{segmentId}/customers", {
  params: { path: { tenant, segmentId: "campaign-18" }, query: { pageSize: 1 } },
});
const code = coupons.data?.[0]?.code;
const member = members.data?.[0]?.customer?.id;
assert.ok(code && member, "the demo shop is loaded");

const order = { orderTotal: { amount: 50, currency: "USD" }, discount: { amount: 0.5, currency: "USD" } };

const withOpenapiTypescript: Client = {
  async validate(code, customerNumber) {
    const { data, error, response } = await api.POST("/coupon/{tenant}/coupons/{code}/validation", {
      params: { path: { tenant, code } },
      body: { ...order, customerNumber },
    });
    const details = error && "details" in error ? error.details : undefined;
    return { status: response.status, discount: data?.discount, reasons: details?.map((reason) => reason.type ?? "") };
  },
  async trees() {
    const { data } = await api.GET("/customer-segment/{tenant}/segments/items/category-trees", {
      params: { path: { tenant } },
    });
    return data ?? [];
  },
  async assign(segmentId, customers) {
    const { data } = await api.PUT("/customer-segment/{tenant}/segments/{segmentId}/customers/bulk", {
      params: { path: { tenant, segmentId } },
      body: customers.map((customerId) => ({ customerId })),
    });
    return data ?? [];
  },
};

const withOrval: Client = {
  async validate(code, customerNumber) {
    const answer = await orval.pOSTCouponValidateCoupon(tenant, code, { ...order, customerNumber }, {}, { headers });
    if (answer.status === 200) return { status: answer.status, discount: answer.data.discount };
    const details = answer.status === 400 ? answer.data.details : [];
    return { status: answer.status, reasons: details?.map((reason) => reason.type ?? "") };
  },
  async trees() {
    const answer = await orval.gETCustomerSegmentRetrieveCategoryTrees(tenant, {}, { headers });
    return answer.status === 200 ? answer.data : [];
  },
  async assign(segment, customers) {
    const rows = customers.map((customerId) => ({ customerId }));
    const answer = await orval.pUTCustomerSegmentUpdateCustomersBulk(tenant, segment, rows, { headers });
    return answer.status === 207 ? answer.data : [];
  },
};

await tryOut("openapi-typescript", withOpenapiTypescript, code, member);
await tryOut("orval", withOrval, code, member);

// A file is sent as a form.
const file = new Blob([`segmentId,customerId\ncampaign-18,${member}\n`], { type: "text/csv" });
const sent = await orval.pOSTCustomerSegmentImport(tenant, { file, kind: "members", dryRun: true }, {}, { headers });
assert.equal(sent.status, 202, "a file is taken");
console.log("orval sends a file");
