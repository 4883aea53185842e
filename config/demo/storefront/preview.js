// The shop as a customer sees it on another day: a question of staff, not of shoppers.
//
// It needs the scopes below, so a service asks it, whose secret no browser ever holds. The demo shop's secret is
// published, and this page plays the service.

import { answerOf, request } from "./shopper.js";

const SCOPES = ["customersegment.segment_read", "coupon.coupon_manage", "coupon.coupon_redeem_on_behalf"];

export async function previewer({ api, tenant, language, clientId, secret }) {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: secret,
    scope: SCOPES.join(" "),
  });
  const { access_token } = await answerOf(await request(`${api}/oauth/token`, { method: "POST", body }));
  const headers = { Authorization: `Bearer ${access_token}`, "Accept-Language": language };
  const segments = `${api}/customer-segment/${tenant}/segments`;

  return {
    /** The segments, the tree, and the products that are assigned to the segments one by one. */
    async shop({ customerId, legalEntityId, asOf }) {
      const query = new URLSearchParams({ customerId, asOf, ...(legalEntityId && { legalEntityId }) });
      const [shown, tree, rows] = await Promise.all([
        request(`${segments}?${query}&pageSize=200`, { headers }).then(answerOf),
        request(`${segments}/items/category-trees?${query}`, { headers }).then(answerOf),
        request(`${segments}/items?${query}&q=type:PRODUCT&pageSize=20`, { headers }).then(answerOf),
      ]);
      const products = [...new Map(rows.map((row) => [row.item.id, row.item])).values()];
      return { segments: shown, tree, products };
    },

    /** What a code of the cart, judged by itself, would do: as a cart's validation says it. */
    async judge(code, { items, currency }, { customerId, legalEntityId, asOf }) {
      const orderTotal = { amount: items.reduce((sum, item) => sum + Math.round(item.amount * 100), 0) / 100, currency };
      const order = { customerNumber: customerId, orderTotal, items, ...(legalEntityId && { legalEntityId }) };
      const path = `${api}/coupon/${tenant}/coupons/${encodeURIComponent(code)}/validation?${new URLSearchParams({ asOf })}`;
      const options = { method: "POST", body: JSON.stringify(order), headers: { ...headers, "Content-Type": "application/json" } };
      try {
        const { discount } = await answerOf(await request(path, options));
        return { code, accepted: true, discount };
      } catch (refused) {
        return { code, accepted: false, reasons: refused.details?.length ? refused.details : [{ message: refused.message }] };
      }
    },
  };
}
