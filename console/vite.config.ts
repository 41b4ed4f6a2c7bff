import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// The development server passes the API through, so that cookies stay on one origin.
const api = process.env.XUNHU_API ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [vue()],
  worker: { format: "es" },
  build: { target: "es2022", chunkSizeWarningLimit: 2500 },
  server: { proxy: { "/api": { target: api, ws: true } } },
});
