import { defineConfig } from "orval";

export default defineConfig({
  shop: {
    input: "build/openapi.json",
    output: { target: "build/orval.ts", client: "fetch", mode: "single", baseUrl: process.env.SHOP_URL },
  },
});
