// What both clients are asked to do, and how the demo shop must answer.
import assert from "node:assert/strict";

export const url = process.env.SHOP_URL ?? "";
export const tenant = "demo";

export interface Category {
  id: string;
  subcategories?: Category[];
}

export interface Client {
  validate(code: string, customerNumber: string): Promise<{ status: number; discount?: number; reasons?: string[] }>;
  trees(): Promise<Category[]>;
  assign(segment: string, customers: string[]): Promise<{ index?: number; code?: number; message?: string | null }[]>;
}

export async function serviceToken(): Promise<string> {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: "demo-backend",
    client_secret: "demo-backend-secret",
  });
  const response = await fetch(`${url}/oauth/token`, { method: "POST", body });
  assert.equal(response.status, 200);
  return (await response.json()).access_token;
}

export async function tryOut(name: string, client: Client, code: string, member: string): Promise<void> {
  const granted = await client.validate(code, member);
  assert.equal(granted.status, 200, JSON.stringify(granted));
  assert.equal(typeof granted.discount, "number");
  const refused = await client.validate(code, "nobody");
  assert.equal(refused.status, 400);
  assert.deepEqual(refused.reasons, ["customer_not_eligible", "segment_membership_missing"]);

  const trees = await client.trees();
  const depth = (nodes: Category[]): number => Math.max(0, ...nodes.map((node) => 1 + depth(node.subcategories ?? [])));
  assert.ok(trees.length > 0 && depth(trees) >= 2, "a tree with children");

  const [added, unknown] = await client.assign("campaign-18", [member, "nobody"]);
  assert.equal(added.index, 1);
  assert.ok(added.code === 201 || added.code === 204);
  assert.equal(unknown.code, 400);
  assert.match(unknown.message ?? "", /nobody/);
  console.log(`${name}: a validation, a tree and a bulk work.`);
}
