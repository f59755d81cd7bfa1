import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

declare const process: { readonly env: Readonly<Record<string, string | undefined>> }; // Node's, of which nothing else is used
const api = process.env['PLOMBA_API'] ?? 'http://127.0.0.1:8480'; // of `make web-dev`

export default defineConfig({
  plugins: [svelte()],
  publicDir: false,
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    manifest: true,
    assetsInlineLimit: 0, // the console's CSP knows no data: scripts, and a hashed file is kept for ever
    modulePreload: { polyfill: false }, // the polyfill is an inline script
    reportCompressedSize: false,
  },
  server: { port: 5173, proxy: { '/api': { target: api }, '/healthz': { target: api } } },
  test: { include: ['console/**/*.test.ts'], environment: 'node' },
});
