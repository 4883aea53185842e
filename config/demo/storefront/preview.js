// The shop as a customer sees it on another day: a question of staff, not of shoppers.
//
// It needs customersegment.segment_read, so a service asks it, whose secret no browser ever holds. The demo
// shop's secret is published, and this page plays the service.

import { answerOf } from "./shopper.js";

const SCOPE = "customersegment.segment_read";

export async function previewer({ api, tenant, language, clientId, secret }) {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: secret,
    scope: SCOPE,
  });
  const { access_token } = await answerOf(await fetch(`${api}/oauth/token`, { method: "POST", body }));
  const headers = { Authorization: `Bearer ${access_token}`, "Accept-Language": language };

  return async ({ customerId, legalEntityId, asOf }) => {
    const query = new URLSearchParams({ customerId, asOf, ...(legalEntityId && { legalEntityId }) });
    const segments = `${api}/customer-segment/${tenant}/segments`;
    const [shown, tree] = await Promise.all([
      fetch(`${segments}?${query}&pageSize=200`, { headers }).then(answerOf),
      fetch(`${segments}/items/category-trees?${query}`, { headers }).then(answerOf),
    ]);
    return { segments: shown, tree };
  };
}
