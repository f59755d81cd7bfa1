/** Trusted Types, before anything else runs. Law: a worker comes from our own assets, and no HTML is ever made from text. */

interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown;
}

const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes;

policies?.createPolicy('default', {
  createScriptURL(url) {
    const to = new URL(url, window.location.href);
    const isOurs = to.origin === window.location.origin && (to.pathname.startsWith('/assets/') || import.meta.env.DEV);
    if (!isOurs) throw new TypeError(`no script of ours: ${to.pathname}`);
    return to.href;
  },
});
