import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import type { Plugin } from 'vite';
import { LATER, isLater } from './console/lib/parts.ts';

declare const process: { readonly env: Readonly<Record<string, string | undefined>> }; // Node's, of which nothing else is used
const api = process.env['PLOMBA_API'] ?? 'http://127.0.0.1:8480'; // of `make web-dev`

/** A catalogue in two files: what the control room says, and what the other screens add (`?later`). Tests read it whole. */
const parted: Plugin = {
  name: 'parted-catalogues',
  enforce: 'pre',
  apply: (_config, { mode }) => mode !== 'test',
  transform(text, id) {
    const [path = '', query = ''] = id.split('?');
    if (!/\/locales\/(?:en|ru|uz)\.json$/.test(path)) return null;
    const isWanted = ([key]: readonly [string, unknown]): boolean => isLater(key) === (query === LATER);
    const kept = Object.fromEntries(Object.entries(JSON.parse(text) as Record<string, unknown>).filter(isWanted));
    const said = JSON.stringify(kept);
    return { code: query === LATER ? `export default ${said}` : said, map: null }; // with a query it is no JSON to the bundler
  },
};

export default defineConfig({
  plugins: [parted, svelte()],
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
    rolldownOptions: {
      // Beside the console, what the officer's page loads when somebody taps SCAN: its export is its face, so it is kept.
      input: { index: 'index.html', qr: 'officer/qr.js' },
      preserveEntrySignatures: 'allow-extension',
    },
  },
  server: { port: 5173, proxy: { '/api': { target: api }, '/healthz': { target: api } } },
  test: { include: ['console/**/*.test.ts'], environment: 'node' },
});
